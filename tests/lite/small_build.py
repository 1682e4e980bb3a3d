#!/usr/bin/env python3
"""The small build, and its program: on the stored models `tenon-lite run` gives the answers of
TensorFlow Lite's interpreter.

    tests/lite/small_build.py             after `./dev lite` and that build's tests
    tests/lite/small_build.py --built     of what is built already
"""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build-lite/tenon-lite")


def run(*command):
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def checked(*command):
    code, text = run(*command)
    if code != 0:
        sys.exit(f"{' '.join(command)} gave {code}:\n{text[-4000:]}")
    return text


def agrees(got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    if want.dtype != np.float32:
        return np.array_equal(got, want)
    return bool(np.all(np.abs(got - want) <= 1e-5 * np.max(np.abs(want), initial=0) + 1e-7))


def check_case(model, folder):
    """How many outputs were compared."""
    arrays = np.load(model.removesuffix(".tflite") + ".npz")
    inputs = []
    for i, name in enumerate(name for name in arrays.files if name.startswith("in:")):
        path = os.path.join(folder, f"input_{i}.npy")
        np.save(path, arrays[name])
        inputs.append(f"{name.removeprefix('in:')}={path}")
    checked(PROGRAM, "run", model, *inputs, "--outdir", folder)
    wanted = [name for name in arrays.files if name.startswith("out:")]
    for name in wanted:
        got = np.load(os.path.join(folder, name.removeprefix("out:").replace("/", "_") + ".npy"))
        if not agrees(got, arrays[name]):
            sys.exit(f"{model}: {name} is {got}, the interpreter's is {arrays[name]}")
    return len(wanted)


def check_refused(expected, part, *arguments):
    code, text = run(PROGRAM, *arguments)
    if code != expected or part not in text:
        sys.exit(f"tenon-lite {' '.join(arguments)} gave {code}: {text}")


def main():
    if sys.argv[1:] != ["--built"]:
        checked("./dev", "lite", "--no-install")
        print(checked("ctest", "--test-dir", "build-lite", "--output-on-failure",
                      "--no-tests=error"), end="")
    models = sorted(glob.glob(os.path.join(ROOT, "tenon/lite/testdata/*.tflite")))
    outputs = 0
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            outputs += check_case(model, folder)
    if not outputs:
        sys.exit("there are no stored models")

    mlp = os.path.join(ROOT, "tenon/lite/testdata/net_mlp.tflite")
    if "serving_default" not in checked(PROGRAM, "inspect", mlp):
        sys.exit("inspect does not name the signature")
    checked(PROGRAM, "bench", mlp, "--seconds", "0", "--threads", "2")
    check_refused(2, "usage:", "run")
    check_refused(2, "usage:", "serve", mlp)
    check_refused(2, "--seconds is 'nan'", "bench", mlp, "--seconds=nan")
    check_refused(2, "--signature needs a value", "run", mlp, "--signature")
    check_refused(1, "NOT_FOUND", "run", "/nowhere.tflite")
    check_refused(1, "there is no signature 'other'", "run", mlp, "--signature=other")
    check_refused(1, "has no input 'nowhere'", "run", mlp, "nowhere=x.npy")
    print(f"{outputs} outputs of {len(models)} models agree")


main()
