#!/usr/bin/env python3
"""Writes the networks of benchmarks/gpu as Keras' JSON: `models.py FOLDER`. Needs Keras; the benchmark itself does not.

mlp.json and cnn.json are of float32, resnet50.json and bert.json (its encoder, without positions) of mixed_bfloat16.
"""
import os
import sys

import keras
from keras import layers


def mlp():
    return keras.Sequential([keras.Input((784,)), layers.Dense(128, activation="relu"), layers.Dense(10)])


def cnn():
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
                             layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(10)])


def resnet50():
    return keras.applications.ResNet50(weights=None, classifier_activation=None)


def bert():
    ids = keras.Input((128,), dtype="int32")
    x = layers.Embedding(30522, 768)(ids)
    for _ in range(12):
        x = layers.LayerNormalization(epsilon=1e-5)(x + layers.MultiHeadAttention(12, 64)(x, x))
        hidden = layers.Dense(3072, activation="gelu")(x)
        x = layers.LayerNormalization(epsilon=1e-5)(x + layers.Dense(768)(hidden))
    return keras.Model(ids, layers.Dense(2, dtype="float32")(x[:, 0]))


def main():
    for policy, networks in (("float32", (mlp, cnn)), ("mixed_bfloat16", (resnet50, bert))):
        keras.mixed_precision.set_global_policy(policy)
        for network in networks:
            with open(os.path.join(sys.argv[1], network.__name__ + ".json"), "w", encoding="utf-8") as file:
                file.write(network().to_json())


if __name__ == "__main__":
    main()
