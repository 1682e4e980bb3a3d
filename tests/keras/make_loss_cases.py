#!/usr/bin/env python3
"""Makes tenon/keras/testdata/label_losses.json: values and gradients of Keras' losses whose targets are class numbers.

    python tests/keras/make_loss_cases.py tenon/keras/testdata

Each case is a loss as Keras serialises it, targets, predictions and weights (or null) with their shapes, the loss and its
gradient with respect to the predictions. Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tensorflow as tf
from keras import losses as L


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cases():
    rng = np.random.default_rng(14)
    soft = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    places, rows = np.array([[0, 255, 2, 1], [255, 255, 1, 0], [2, 2, 255, 1]]), np.array([0.5, 2.0, 1.25])
    yield L.SparseCategoricalCrossentropy(ignore_class=255), places, soft(rng.normal(size=(3, 4, 3))), None
    yield L.SparseCategoricalCrossentropy(ignore_class=255, from_logits=True), places, rng.normal(size=(3, 4, 3)), rows[:, None]
    yield L.SparseCategoricalCrossentropy(ignore_class=-1, reduction="sum"), np.array([0, -1, 2]), soft(rng.normal(size=(3, 3))), rows
    yield L.SparseCategoricalCrossentropy(ignore_class=1), np.array([[1], [1], [1]]), soft(rng.normal(size=(3, 3))), None
    sequences = np.array([[1, 2, 2, 0], [3, 0, 0, 0], [1, 3, 1, 2], [0, 0, 0, 0]])
    yield L.CTC(), sequences, 2 * rng.normal(size=(4, 7, 4)), None
    yield L.CTC(reduction="sum"), sequences, rng.normal(size=(4, 9, 4)), np.array([1.0, 0.5, 2.0, 0.0])
    yield L.Circle(), np.array([0, 1, 0, 2, 1, 2]), unit(rng.normal(size=(6, 5))), None
    yield L.Circle(gamma=8.0, margin=0.25, remove_diagonal=False), np.array([[0], [1], [0], [2], [1]]), unit(rng.normal(size=(5, 3))), None
    for q in (0.5, 0.9):
        yield L.CategoricalGeneralizedCrossEntropy(q=q), np.array([0, 2, 1]), soft(rng.normal(size=(3, 3))), rows if q == 0.9 else None


def main(folder):
    found = []
    for loss, y_true, y_pred, weight in cases():
        p = tf.Variable(y_pred.astype(np.float32))
        with tf.GradientTape() as tape:
            value = loss(y_true, p, weight)
        array = lambda a: None if a is None else {"shape": list(a.shape), "values": np.asarray(a, np.float64).ravel().tolist()}
        found.append({"loss": json.loads(json.dumps(keras.saving.serialize_keras_object(loss))), "y_true": array(y_true), "y_pred": array(p.numpy()),
                      "weight": array(weight), "value": float(value), "gradient": array(tf.convert_to_tensor(tape.gradient(value, p)).numpy())})
        print(type(loss).__name__, float(value))
    with open(os.path.join(folder, "label_losses.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(case) for case in found) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
