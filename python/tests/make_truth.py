"""Writes python/tests/truth/*.json, what TensorFlow answers to the cases, and a checkpoint that TensorFlow wrote.

By hand: .venv/bin/python python/tests/make_truth.py [NAME ...]    # of NAME_cases.py
"""
import importlib
import json
import multiprocessing
import os
import sys

import tensorflow as tf

FOLDER = os.path.dirname(os.path.abspath(__file__))


def rounded(value):
    """With seven digits, which is what float32 has."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _answer(module, index):
    module = importlib.import_module(module)
    module.begin(tf)
    return module.CASES[index](tf)


def _answers(module):
    """What TensorFlow answers to the cases; in a process for each where they ask for it."""
    if not getattr(module, "ALONE", False):
        return [case(tf) for case in module.CASES]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(_answer, [(module.__name__, i) for i in range(len(module.CASES))], chunksize=1)


def main():
    os.makedirs(os.path.join(FOLDER, "truth"), exist_ok=True)
    for name in sorted(os.listdir(FOLDER)):
        if not name.endswith("_cases.py") or sys.argv[1:] and name[:-9] not in sys.argv[1:]:
            continue
        module = importlib.import_module(name[:-3])
        if not hasattr(module, "CASES"):
            continue
        lines = [f"{json.dumps(case.__name__)}: {json.dumps(rounded(answer))}"
                 for case, answer in zip(module.CASES, _answers(module))]
        with open(os.path.join(FOLDER, "truth", name[:-9] + ".json"), "w") as file:
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
    if sys.argv[1:]:
        return
    from checkpoint_cases import make_model
    model = make_model(tf)()
    model.build()
    folder = os.path.join(FOLDER, "truth", "checkpoint")
    tf.train.Checkpoint(model=model, step=tf.Variable(42, dtype=tf.int64)).save(os.path.join(folder, "tf"))
    os.remove(os.path.join(folder, "checkpoint"))


if __name__ == "__main__":
    main()
