#!/usr/bin/env python3
"""Runs the benchmarks and prints one JSON line a figure, Tenon's and a peer's side by side.

    ./dev bench [NAME ...]                        all, or those named: the files NAME_bench.py beside this one
    ./dev bench [NAME ...] --against OTHER_BUILD  this build beside another one (its folder), without peers

A benchmark is a module with `figures(tenon)`, which yields dictionaries: {"figure": ..., "tenon": ..., "peer": ...}.
Both sides of a figure are measured in one run on one machine, in turns, so that their ratio means something. Where it has
`rows()`, objects with `name` and `measure(tenon)` (milliseconds), two builds are compared row by row.

--against measures each row five times in each build, in turns, and prints both medians and how many times as long this
build takes; --slower says from which ratio on the exit code is 1. Models are made by Keras and kept in benchmarks/.cache.
"""
import argparse
import glob
import importlib
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ALTERNATIONS = 5


def names():
    return sorted(os.path.basename(path).removesuffix("_bench.py") for path in glob.glob(os.path.join(HERE, "*_bench.py")))


def program(build):
    tenon = os.path.abspath(os.path.join(build, "tenon"))
    if not os.path.isfile(tenon):
        sys.exit(f"no program at {tenon}; ./dev build makes it")
    return tenon


def compare(row, tenon, other):
    """Medians of both builds. Who goes first changes with each turn, so that what one leaves behind meets both."""
    times = {tenon: [], other: []}
    try:
        for turn in range(ALTERNATIONS):
            for build in (tenon, other) if turn % 2 == 0 else (other, tenon):
                times[build].append(row.measure(build))
    except RuntimeError as error:
        return {"figure": row.name, "this build": None, "error": str(error)}
    ours, theirs = statistics.median(times[tenon]), statistics.median(times[other])
    return {"figure": row.name, "this build": round(ours, 4), "other build": round(theirs, 4), "ratio": round(ours / theirs, 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build"))
    parser.add_argument("--against", metavar="OTHER_BUILD", help="the folder of another build, for instance ../main/build")
    parser.add_argument("--slower", type=float, default=float("inf"), metavar="RATIO", help="with --against: exit with 1 above it")
    parser.add_argument("--only", default="", metavar="TEXT", help="with --against: rows whose name has this text")
    parser.add_argument("name", nargs="*", choices=[[], *names()])
    options = parser.parse_args()
    tenon = program(options.build)
    other = program(options.against) if options.against else None
    slower = []
    for name in options.name or names():
        module = importlib.import_module(name + "_bench")
        if not other:
            for figure in module.figures(tenon):
                print(json.dumps(figure), flush=True)
            continue
        for row in getattr(module, "rows", list)():
            if options.only not in row.name:
                continue
            figure = compare(row, tenon, other)
            print(json.dumps(figure), flush=True)
            if figure.get("ratio", 0) > options.slower:
                slower.append(figure["figure"])
    if slower:
        sys.exit(f"slower than {options.slower} times the other build: {'; '.join(slower)}")


if __name__ == "__main__":
    main()
