#!/usr/bin/env python3
"""Runs the benchmarks and prints one JSON line a figure, Tenon's and a peer's side by side.

    ./dev bench [NAME ...]     all, or those named: the files NAME_bench.py beside this one

A benchmark is a module with `figures(tenon)`, which yields dictionaries: {"figure": ..., "tenon": ..., "peer": ...}.
Both sides of a figure are measured in one run on one machine, in turns, so that their ratio means something.
"""
import argparse
import glob
import importlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def names():
    return sorted(os.path.basename(path).removesuffix("_bench.py") for path in glob.glob(os.path.join(HERE, "*_bench.py")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build"))
    parser.add_argument("name", nargs="*", choices=[[], *names()])
    options = parser.parse_args()
    tenon = os.path.abspath(os.path.join(options.build, "tenon"))
    if not os.path.isfile(tenon):
        sys.exit(f"no program at {tenon}; ./dev build makes it")
    for name in options.name or names():
        for figure in importlib.import_module(name + "_bench").figures(tenon):
            print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
