#!/usr/bin/env python3
"""Random graphs of tests/differential, by Tenon and by TensorFlow: the same answers, for every instruction set.

    .venv/bin/python tests/differential/against_tensorflow.py build/export_random_graphs --count 50 [--first 1]
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

# Its optimizer pushes constants through a BiasAdd that they do not fit, and then refuses its own graph.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

INSTRUCTION_SETS = ["avx3", "avx2", "baseline"]


def export(program, folder, instruction_set, first, count):
    done = subprocess.run([program, folder, str(first), str(count)], env={**os.environ, "TENON_MAX_ISA": instruction_set},
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAIL {program} with TENON_MAX_ISA={instruction_set}: exit code {done.returncode}\n{done.stderr}")


def difference(got, want, exact):
    """What is wrong with an answer, or None. Graphs keep their values moderate, so that rounding stays small."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)}, TensorFlow {want.dtype}{list(want.shape)}"
    if exact or got.dtype.kind != "f":
        wrong = ~((got == want) | ((got != got) & (want != want)))
    else:
        wrong = ~(np.abs(got - want) <= 1e-5 + 1e-4 * np.abs(want) + 1e-4 * np.max(np.abs(want), initial=0))
    if not np.any(wrong):
        return None
    at = np.unravel_index(np.argmax(wrong), wrong.shape) if wrong.shape else ()
    return f"{np.count_nonzero(wrong)} of {wrong.size} differ, first at {list(map(int, at))}: {got[at]}, TensorFlow {want[at]}"


def check_graph(folders, seed):
    """Yields what differs."""
    model = tf.saved_model.load(os.path.join(folders[0], str(seed), "1"))
    function = model.signatures["serving_default"]
    for path in sorted(glob.glob(os.path.join(folders[0], str(seed), "*.npz"))):
        with np.load(path) as values:
            answers = function(**{key[3:]: tf.constant(values[key]) for key in values.files if key.startswith("in/")})
        for folder, instruction_set in zip(folders, INSTRUCTION_SETS):
            with np.load(os.path.join(folder, str(seed), os.path.basename(path))) as values:
                for name, want in answers.items():
                    wrong = difference(values[f"out/{name}"], want.numpy(), bool(values[f"exact/{name}"]))
                    if wrong:
                        yield f"seed {seed}, batch {os.path.basename(path)[:-4]}, {instruction_set}, {name}: {wrong}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tenon-random.") as root:
        folders = [os.path.join(root, name) for name in INSTRUCTION_SETS]
        for folder, instruction_set in zip(folders, INSTRUCTION_SETS):
            export(os.path.abspath(options.program), folder, instruction_set, options.first, options.count)
        for seed in range(options.first, options.first + options.count):
            for wrong in check_graph(folders, seed):
                failed += 1
                print("FAIL", wrong, flush=True)
    print(f"{options.count} graphs from seed {options.first}, {failed} differences")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
