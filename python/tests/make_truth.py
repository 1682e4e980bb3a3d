"""Writes python/tests/truth/*.json, what TensorFlow answers to the cases, and a checkpoint that TensorFlow wrote.

By hand: .venv/bin/python python/tests/make_truth.py
"""
import importlib
import json
import os

import tensorflow as tf

FOLDER = os.path.dirname(os.path.abspath(__file__))


def rounded(value):
    """With seven digits, which is what float32 has."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def main():
    os.makedirs(os.path.join(FOLDER, "truth"), exist_ok=True)
    for name in sorted(os.listdir(FOLDER)):
        if not name.endswith("_cases.py"):
            continue
        cases = importlib.import_module(name[:-3]).CASES
        lines = [f"{json.dumps(case.__name__)}: {json.dumps(rounded(case(tf)))}" for case in cases]
        with open(os.path.join(FOLDER, "truth", name[:-9] + ".json"), "w") as file:
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
    from checkpoint_cases import make_model
    model = make_model(tf)()
    model.build()
    folder = os.path.join(FOLDER, "truth", "checkpoint")
    tf.train.Checkpoint(model=model, step=tf.Variable(42, dtype=tf.int64)).save(os.path.join(folder, "tf"))
    os.remove(os.path.join(folder, "checkpoint"))


if __name__ == "__main__":
    main()
