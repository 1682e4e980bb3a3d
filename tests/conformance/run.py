#!/usr/bin/env python3
"""Runs TensorFlow's reference cases through `tenon run` and prints, for each set, how many of them pass.

    ./dev conformance [--set ops] [--filter Conv2D] [-v]
    ./dev conformance --record     writes the cases that pass into tests/conformance/expected.txt

A case that expected.txt lists and that fails is a failure (exit 1); one that passes and is not listed is a hint.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import numpy as np

from cases import SETS

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EXPECTED = os.path.join(HERE, "expected.txt")
TIMEOUT_S = 60


def as_float(array, dtype):
    """bfloat16 stands in .npy files as its bits."""
    if dtype == "bfloat16":
        bits = array.view(np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32)
    return array


def difference(got, want, case, dtype):
    """What is wrong with an output, or None."""
    got, want = as_float(got, dtype), as_float(want, dtype)
    if got.shape != want.shape:
        return f"shape {list(got.shape)}, want {list(want.shape)}"
    if want.dtype.kind in "SU":
        if got.dtype.kind not in "SU":
            return f"dtype {got.dtype}, want strings"
        return None if np.array_equal(got.astype("S"), want.astype("S")) else f"{got.ravel()[:3]}, want {want.ravel()[:3]}"
    if got.dtype != want.dtype:
        return f"dtype {got.dtype}, want {want.dtype}"
    if case.shape_only and want.dtype.kind != "b":
        return None
    if want.dtype.kind in "fc":
        wide = np.complex128 if want.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            got, want = got.astype(wide), want.astype(wide)
            same = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.abs(got - want) <= case.atol + case.rtol * np.abs(want))
            distance = np.abs(got - want)
    else:
        distance = np.abs(got.astype(object) - want.astype(object)) if case.int_atol else None
        same = (distance <= case.int_atol) if case.int_atol else got == want
    if np.all(same):
        return None
    at = np.unravel_index(int(np.argmin(same)), want.shape) if want.shape else ()
    return f"{np.size(same) - np.count_nonzero(same)} of {np.size(same)} differ, first at {list(map(int, at))}: {got[at]}, want {want[at]}"


class Runner:
    """Runs cases, each in an empty folder of its own. Safe to use from several threads."""

    def __init__(self, tenon):
        self.tenon, self.local = os.path.abspath(tenon), threading.local()

    def _golden(self, path):
        if getattr(self.local, "path", None) != path:
            self.local.path, self.local.values = path, np.load(path)
        return self.local.values

    def _command(self, case, model, outdir):
        command = [self.tenon, "run", "--dir", model, "--tag_set", "serve", "--signature_def", case.signature,
                   "--outdir", outdir, "--overwrite", "--allow_file_ops"]
        for flag, values in (("--inputs", case.inputs), ("--grad_outputs", case.gradients)):
            if values:
                command += [flag, ";".join(f"{name}={case.golden}[{key}]" for name, key in values.items())]
        return command

    def _start(self, case, model, folder, save):
        outdir = os.path.join(folder, "out")
        command = self._command(case, model, outdir) + (["--save"] if save else [])
        for name, file in case.files.items():
            shutil.copyfile(file, os.path.join(folder, name))
        try:
            return subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False,
                                  stdin=subprocess.DEVNULL, text=True, errors="replace"), outdir
        except subprocess.TimeoutExpired:
            return None, outdir

    def _judge(self, case, done, outdir):
        if done is None:
            return f"no answer in {TIMEOUT_S} s"
        said = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode < 0:
            return f"died by signal {-done.returncode}: {said}"
        if case.error:
            code = re.search(r"error: ([A-Z_]+)", done.stderr)
            if done.returncode == 1 and code and code[1] == case.error:
                return None
            return f"{code[1] if code else 'no error'}, want {case.error}: {said}"
        if done.returncode:
            return said or f"exit code {done.returncode}"
        golden = self._golden(case.golden)
        for name, key in case.outputs.items():
            path = os.path.join(outdir, name + ".npy")
            if not os.path.exists(path):
                return f"{name}: not written"
            try:
                got = np.load(path)
            except ValueError as error:
                return f"{name}: {error}"
            wrong = difference(got, golden[key], case, case.dtypes.get(name))
            if wrong:
                return f"{name}: {wrong}"
        return None

    def run(self, case):
        """What is wrong with the program's answer, or None."""
        with tempfile.TemporaryDirectory(prefix="tenon-case.") as folder:
            steps = []
            step = case
            while step:
                steps.insert(0, step)
                step = step.after
            model, sequence = case.model, case.name.startswith("seq")
            if sequence:
                model = shutil.copytree(case.model, os.path.join(folder, "model", "1"), copy_function=shutil.copyfile)
            for step in steps:
                done, outdir = self._start(step, model, folder, save=sequence)
            return self._judge(case, done, outdir)


def read_expected():
    """group -> names of the cases that pass."""
    expected = {}
    if os.path.exists(EXPECTED):
        with open(EXPECTED, encoding="utf-8") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    group, names = line.split(":")
                    expected[group] = set(names.split())
    return expected


def record(passing):
    with open(EXPECTED, "w", encoding="utf-8") as f:
        f.write("# Reference cases that pass, written by `./dev conformance --record`; a listed case that fails is a failure.\n")
        for group, names in sorted(passing.items()):
            f.write(f"{group}: {' '.join(sorted(names))}\n")


def report(sets, results, expected, verbose):
    """Prints the table; returns the number of listed cases that fail."""
    lost, gained = [], []
    print(f"{'set':<12}{'pass':>6} of {'cases':<7}{'listed':>7}")
    for name, cases in sets.items():
        passed = [case for case in cases if results[case.id] is None]
        listed = [case for case in cases if case.name in expected.get(case.group, ())]
        print(f"{name:<12}{len(passed):>6} of {len(cases):<7}{len(listed):>7}")
        lost += [case for case in listed if results[case.id] is not None]
        gained += [case for case in passed if case.name not in expected.get(case.group, ())]
    if verbose:
        for case_id, wrong in results.items():
            print(f"{'ok  ' if wrong is None else 'FAIL'} {case_id}{'' if wrong is None else ': ' + wrong}")
    for case in lost:
        print(f"FAIL {case.id} (listed in expected.txt): {results[case.id]}")
    if gained:
        print(f"{len(gained)} cases pass that expected.txt does not list (--record lists them), e.g. {gained[0].id}")
    return len(lost)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default=os.path.join(ROOT, "build", "tenon"))
    parser.add_argument("--cases", default=os.path.join(ROOT, "..", "shared", "cases"))
    parser.add_argument("--set", choices=SETS, action="append", help="only this set (may be repeated)")
    parser.add_argument("--filter", default="", help="only cases whose name contains this")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    cases_root = os.path.realpath(options.cases)
    sets = {name: [case for case in SETS[name](cases_root) if options.filter in case.id] for name in options.set or SETS}
    every = [case for cases in sets.values() for case in cases]
    if not every:
        sys.exit("no case of that name")
    runner = Runner(options.tenon)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip((case.id for case in every), pool.map(runner.run, every)))
    expected = read_expected()
    if options.record:
        passing = expected
        for case in every:
            names = passing.setdefault(case.group, set())
            (names.add if results[case.id] is None else names.discard)(case.name)
        record({group: names for group, names in passing.items() if names})
        expected = passing
    return 1 if report(sets, results, expected, options.verbose) else 0


if __name__ == "__main__":
    sys.exit(main())
