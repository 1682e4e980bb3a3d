#!/usr/bin/env python3
"""Runs the serving cases of shared/cases/serving against `tenon serve`, as a table and by name.

    tests/serving/run.py --tenon build/tenon rest|grpc [--record] [-v]

The cases' own runners start the server and judge. A case that expected_<kind>.txt lists and that fails is a failure;
one that passes and is not listed is a hint; --record writes the list.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["rest", "grpc"])
    parser.add_argument("--tenon", default=os.path.join(ROOT, "build", "tenon"))
    parser.add_argument("--cases", default=os.path.join(ROOT, "..", "shared", "cases"))
    parser.add_argument("--record", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    script = os.path.join(options.cases, "serving", f"{options.kind}_cases.py")
    command = [sys.executable, "-B", script, "-v", "--serve", shlex.quote(os.path.abspath(options.tenon)) + " serve"]
    output = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False).stdout
    answers = dict(re.findall(r"^(?:FAIL|ok  ) (\S+).*\n?((?:     .*\n)?)", output, re.M))
    passed = set(re.findall(r"^ok   (\S+)", output, re.M))
    if options.verbose or not answers:
        print(output)
    path = os.path.join(HERE, f"expected_{options.kind}.txt")
    listed = set()
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            listed = set(f.read().split())
    if options.record:
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(sorted(passed)) + "\n")
        listed = passed
    for name in sorted(listed - passed):
        print(f"FAIL {name} (listed in {os.path.basename(path)}): {answers.get(name, 'did not run').strip()}")
    if passed - listed:
        print(f"{len(passed - listed)} cases pass that are not listed (--record lists them), e.g. {min(passed - listed)}")
    print(f"{options.kind}: {len(passed)} of {len(answers)} pass, {len(listed)} listed")
    return 1 if listed - passed or not answers else 0


if __name__ == "__main__":
    sys.exit(main())
