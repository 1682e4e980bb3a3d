#!/usr/bin/env python3
"""Makes tenon/keras/testdata/weight_rules.json with real Keras: what regularizers and constraints give.

    python tests/keras/make_weight_rules.py tenon/keras/testdata

A case is an object as Keras writes it, a tensor, and the penalty and its gradient, or the tensor as the constraint
leaves it. Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from keras import constraints as C
from keras import regularizers as R

RNG = np.random.default_rng(3)
REGULARIZERS = [R.L1(0.02), R.L2(0.3), R.L1L2(0.1, 0.05), R.L1L2(0.0, 0.2), R.L1L2(), R.get("l1"), R.get("l2"), R.get("l1l2")]
MATRICES = [R.OrthogonalRegularizer(0.5), R.OrthogonalRegularizer(0.25, "columns"), R.get("orthogonal_regularizer")]
CONSTRAINTS = [C.MaxNorm(0.7), C.MaxNorm(1, axis=1), C.NonNeg(), C.UnitNorm(), C.UnitNorm(axis=-1), C.MinMaxNorm(0.9, 1.1),
               C.MinMaxNorm(0.5, 0.8, rate=0.25, axis=1), C.get("max_norm"), C.get("min_max_norm")]
IMAGES = [C.MaxNorm(0.7, axis=[0, 1, 2]), C.UnitNorm(axis=[0, 1, 2]), C.MinMaxNorm(0.9, 1.1, 0.5, axis=[0, 1, 2])]


def tensor(shape):
    x = RNG.normal(size=shape).astype(np.float32)
    x.flat[::5] = 0
    return x


def numbers(x):
    return [float(value) for value in np.asarray(x).ravel()]


def penalty(regularizer, shape):
    x = tf.Variable(tensor(shape))
    with tf.GradientTape() as tape:
        value = regularizer(x)
    gradient = tape.gradient(value, x)
    return {"object": R.serialize(regularizer), "shape": shape, "x": numbers(x), "value": numbers(value),
            "gradient": numbers(tf.zeros(shape) if gradient is None else gradient)}


def projected(constraint, shape):
    w = tensor(shape)
    return {"object": C.serialize(constraint), "shape": shape, "x": numbers(w), "value": numbers(constraint(w))}


def main():
    cases = {"regularizers": [penalty(r, shape) for r in REGULARIZERS for shape in ([3, 4], [2, 3, 2, 2], [5])] +
                             [penalty(r, shape) for r in MATRICES for shape in ([3, 4], [6, 2])],
             "constraints": [projected(c, [3, 4]) for c in CONSTRAINTS] + [projected(c, [2, 3, 2, 4]) for c in IMAGES]}
    with open(os.path.join(sys.argv[1], "weight_rules.json"), "w") as f:
        json.dump(cases, f)


if __name__ == "__main__":
    main()
