#!/usr/bin/env python3
"""The stored models by a cross-built tenon-lite: bit for bit what x86-64 computes with AVX2, but
where docs/lite.md says that they may differ.

    tests/lite/cross_bits.py ARCHITECTURE EMULATOR... PROGRAM [--report]

The other side is build/tenon; without it, or on another processor than x86-64 with AVX2, there is
nothing to compare with and the test is passed.
"""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TENON = os.path.join(ROOT, "build/tenon")
# Models whose float results may differ, by at most this part of the largest value.
MAY_DIFFER = {
    "aarch64": {"bilinear_True_False_18": 3e-7, "net_bilstm": 3e-7, "net_lstm": 3e-7},
    "armv7": {"bilinear_True_False_18": 3e-7, "net_bilstm": 3e-7, "net_gru": 3e-7,
              "net_lstm": 3e-7, "net_rnn": 3e-7, "unary_gelu": 3e-7},
}


def answers(program, model, folder):
    arrays = np.load(model.removesuffix(".tflite") + ".npz")
    inputs = []
    for i, name in enumerate(name for name in arrays.files if name.startswith("in:")):
        path = os.path.join(folder, f"input_{i}.npy")
        np.save(path, arrays[name])
        inputs.append(f"{name.removeprefix('in:')}={path}")
    out = os.path.join(folder, os.path.basename(program[-1]))
    os.makedirs(out, exist_ok=True)
    environment = {**os.environ, "TENON_MAX_ISA": "avx2"}
    if program == [TENON]:
        inputs = ["--inputs=" + ";".join(inputs)] if inputs else []
    done = subprocess.run([*program, "run", model, *inputs, "--outdir", out], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env=environment)
    if done.returncode != 0:
        sys.exit(f"{model}: {program} gave {done.returncode}: {done.stdout[-2000:]}")
    found = {}
    for path in sorted(glob.glob(os.path.join(out, "*.npy"))):
        found[os.path.basename(path)] = np.load(path)
    return found


def difference(a, b):
    """Of the largest value; 0 where the bits are equal."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.tobytes() == b.tobytes():
        return 0
    if a.dtype.kind != "f":
        return np.inf
    apart = np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30)
    return float(apart) if apart == apart else np.inf


def main():
    report = sys.argv[-1] == "--report"
    architecture, program = sys.argv[1], sys.argv[2:-1] if report else sys.argv[2:]
    with open("/proc/cpuinfo", encoding="ascii") as info:
        if " avx2 " not in info.read() or not os.path.exists(TENON):
            print("nothing to compare with")
            return
    models = sorted(glob.glob(os.path.join(ROOT, "tenon/lite/testdata/*.tflite")))
    wrong, equal = [], 0
    for model in models:
        name = os.path.basename(model).removesuffix(".tflite")
        with tempfile.TemporaryDirectory() as folder:
            theirs = answers([TENON], model, folder)
            ours = answers(program, model, folder)
        if not theirs or theirs.keys() != ours.keys():
            wrong.append(f"{name} has {sorted(ours)}, on x86-64 {sorted(theirs)}")
            continue
        most = max(difference(ours[key], theirs[key]) for key in theirs)
        equal += most == 0
        if most > 0 and report:
            print(f"{name} differs by {most:.3g}")
        elif most > MAY_DIFFER[architecture].get(name, 0):
            wrong.append(f"{name} differs by {most:.3g}")
    print(f"{equal} of {len(models)} models have equal bits")
    if wrong:
        sys.exit("\n".join(wrong))


main()
