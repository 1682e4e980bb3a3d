#!/usr/bin/env python3
"""Runs the benchmarks and prints one JSON line a figure, Tenon's and a peer's side by side.

    ./dev bench [NAME ...]                        all, or those named: the files NAME_bench.py beside this one
    ./dev bench [NAME ...] --against OTHER_BUILD  this build beside another one (its folder), without peers

A benchmark is a module with `figures(tenon)`, which yields dictionaries: {"figure": ..., "tenon": ..., "peer": ...}.
Both sides of a figure are measured in one run on one machine, in turns, so that their ratio means something. Where it has
`rows()`, objects with `name` and `measure(tenon)` (milliseconds), two builds are compared row by row.

--against measures each row five times in each build, in turns, and prints both medians and how many times as long this
build takes; rows above --slower are marked, and with --check they make the exit code 1. Models are made by Keras and kept
in benchmarks/.cache.
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


def compare(row, tenon, other, slower):
    """Medians of both builds. Who goes first changes with each turn, so that what one leaves behind meets both."""
    times = {tenon: [], other: []}
    for turn in range(ALTERNATIONS):
        for build in (tenon, other) if turn % 2 == 0 else (other, tenon):
            try:
                times[build].append(row.measure(build))
            except RuntimeError as error:
                return {"figure": row.name, "fails": "this build" if build == tenon else "other build", "error": str(error)}
    ours, theirs = statistics.median(times[tenon]), statistics.median(times[other])
    figure = {"figure": row.name, "this build": round(ours, 4), "other build": round(theirs, 4), "ratio": round(ours / theirs, 3)}
    return {**figure, "slower": True} if ours > slower * theirs else figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build"))
    parser.add_argument("--against", metavar="OTHER_BUILD", help="the folder of another build, for instance ../main/build")
    parser.add_argument("--slower", type=float, default=1.05, metavar="RATIO", help="with --against: rows above it are marked (default %(default)s)")
    parser.add_argument("--check", action="store_true", help="with --against: exit with 1 when a row is slower, or fails in this build")
    parser.add_argument("--only", default="", metavar="TEXT", help="with --against: rows whose name has this text")
    parser.add_argument("name", nargs="*", choices=[[], *names()])
    options = parser.parse_args()
    tenon = program(options.build)
    other = program(options.against) if options.against else None
    worse = []
    for name in options.name or names():
        module = importlib.import_module(name + "_bench")
        if not other:
            for figure in module.figures(tenon):
                print(json.dumps(figure), flush=True)
            continue
        for row in getattr(module, "rows", list)():
            if options.only not in row.name:
                continue
            figure = compare(row, tenon, other, options.slower)
            print(json.dumps(figure), flush=True)
            if figure.get("slower") or figure.get("fails") == "this build":
                worse.append(figure["figure"])
    if worse:
        print(f"slower than {options.slower} times the other build, or failed: {'; '.join(worse)}", file=sys.stderr)
    sys.exit(1 if worse and options.check else 0)


if __name__ == "__main__":
    main()
