#!/usr/bin/env python3
"""Runs Keras' own tests, which its wheel carries, on Tenon: "N of M pass, S skip".

    ./dev keras_tests [-j N] [-v] [--part K/N] [--backend tenon] [--out FILE] [MODULE ...]

MODULE is a folder or a file of keras/src without its ending (`losses`, `ops/nn`), or one test (`ops/nn_test.py::Class::name`); without one all files
are run. Every file has a process of its own; one that takes too long, or dies, fails in what it had not ended. Tests of
excluded.txt are not run and count as failed. Tests that want a package of deps/keras_tests.txt that is not installed, or PyTorch,
are counted on their own. FILE gets each test's outcome, as lines of JSON.
"""
import argparse
import collections
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

# Files of other backends: nothing in them is about this one.
OTHERS = ("backend/jax/", "backend/torch/", "backend/openvino/", "backend/numpy/", "backend/tests/")


def root():
    return os.path.join(os.path.dirname(importlib.util.find_spec("keras").origin), "src")


def files_of(names):
    """{file of tests: names of tests in it, or none for all}"""
    found = collections.defaultdict(list)
    for name in names or [""]:
        name, _, test = name.partition("::")
        path = os.path.join(root(), name)
        if os.path.isdir(path):
            for folder, _, files in os.walk(path):
                for file in (os.path.join(folder, f) for f in files if f.endswith("_test.py")):
                    if not os.path.relpath(file, root()).startswith(OTHERS):
                        found[file] = []
        else:
            file = path.removesuffix(".py").removesuffix("_test") + "_test.py"
            found[file] += [test] if test else []
    return dict(sorted(found.items()))


def outcomes_of(file, tests, options):
    """{test: (outcome, why)}"""
    with tempfile.TemporaryDirectory() as home:
        out = os.path.join(home, "out")
        environment = {**os.environ, "KERAS_BACKEND": options.backend, "KERAS_HOME": home, "TF_CPP_MIN_LOG_LEVEL": "3",
                       "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(
                           os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)}
        try:
            done = subprocess.run([sys.executable, "-W", "ignore", os.path.abspath(__file__), "--file", file, "--out", out, "--part",
                                   options.part, *tests], env=environment, cwd=home, capture_output=True, text=True,
                                  timeout=options.seconds)
            fatal = [line for line in done.stderr.splitlines() if "rror" in line] or [""]
            end = f"the process ended with {done.returncode}: {fatal[-1][:200]}"
        except subprocess.TimeoutExpired:
            end = f"the file took more than {options.seconds} s"
        found = {}
        if os.path.exists(out):
            with open(out, encoding="utf-8") as lines:
                for test, outcome, why in map(json.loads, lines):
                    if found.get(test, ("unfinished",))[0] in ("unfinished", "pass"):
                        found[test] = (outcome, why)
        if not found and not end.startswith("the process ended with 5"):  # pytest's word for no tests
            found = {os.path.relpath(file, root()): ("unfinished", "")}
        return {test: ("fail", end) if outcome == "unfinished" else (outcome, why) for test, (outcome, why) in found.items()}


def summary(total):
    failed = total["fail"] + total["excluded"]
    return f"{total['pass']} of {total['pass'] + failed} pass, {total['skip']} skip, {total['lack']} lack a package"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", type=int, default=1, help="files at once")
    parser.add_argument("-v", action="store_true", help="name each test that fails")
    parser.add_argument("--part", default="1/1", help="K/N: of the tests the Kth of N fixed parts")
    parser.add_argument("--seconds", type=int, default=3600, help="how long a file may take")
    parser.add_argument("--backend", default="tenon")
    parser.add_argument("--at-least", type=int, default=0, help="the share in percent that has to pass")
    parser.add_argument("--out", metavar="FILE")
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    options = parser.parse_args()
    if options.file:
        from plugin import run_file
        return run_file(options.file, options.out, options.modules, options.part)
    files = files_of(options.modules)
    total, reasons = collections.Counter(), collections.Counter()
    record = open(options.out or os.devnull, "w", encoding="utf-8")
    with record, concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for file, outcomes in zip(files, pool.map(lambda f: outcomes_of(f, files[f], options), files)):
            count = collections.Counter(outcome for outcome, _ in outcomes.values())
            total += count
            print(f"{os.path.relpath(file, root())}: {summary(count)}", flush=True)
            for test, (outcome, why) in outcomes.items():
                print(json.dumps([test, outcome, why]), file=record, flush=True)
                reasons[why] += outcome in ("fail", "lack", "excluded")
                if options.v and outcome == "fail":
                    print(f"    {test.partition('::')[2]}: {why}", flush=True)
    print("\nWhat fails most:")
    for why, count in reasons.most_common(40):
        if count:
            print(f"{count:5} {why}")
    print(f"\n{summary(total)}")
    ran = total["pass"] + total["fail"] + total["excluded"]
    return int(total["pass"] * 100 < options.at_least * ran or not ran)


if __name__ == "__main__":
    sys.exit(main())
