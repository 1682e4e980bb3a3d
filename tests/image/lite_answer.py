"""Runs a stored model by `tenon-lite` and compares with the interpreter's answers beside it: MODEL.tflite PROGRAM..."""
import os
import subprocess
import sys
import tempfile

import numpy as np

model, program = sys.argv[1], sys.argv[2:]
arrays = np.load(model.removesuffix(".tflite") + ".npz")
with tempfile.TemporaryDirectory() as folder:
    inputs = []
    for name in arrays.files:
        if name.startswith("in:"):
            path = os.path.join(folder, f"input_{len(inputs)}.npy")
            np.save(path, arrays[name])
            inputs.append(f"{name.removeprefix('in:')}={path}")
    subprocess.run([*program, "run", model, *inputs, "--outdir", folder], check=True)
    for name in arrays.files:
        if name.startswith("out:"):
            want = arrays[name]
            got = np.load(os.path.join(folder, name.removeprefix("out:").replace("/", "_") + ".npy"))
            if got.shape != want.shape or np.abs(got - want).max() > 1e-5 * np.abs(want).max() + 1e-7:
                sys.exit(f"{name} is {got}, the interpreter's is {want}")
