#!/usr/bin/env python3
"""Makes tenon/keras/testdata/loss_scale.{keras,npz}: steps in mixed_float16 under Keras' LossScaleOptimizer.

    python tests/keras/make_loss_scale_case.py tenon/keras/testdata

The file is the compiled model before training. After each train_on_batch: the loss, the scale and the counter of steps;
in the end the weights. The first scale is so large that gradients overflow until it has been halved some times; it grows
again after three good steps. Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
from keras import layers as L


def main(folder):
    rng = np.random.default_rng(4)
    keras.utils.set_random_seed(6)
    keras.config.set_dtype_policy("mixed_float16")
    model = keras.Sequential([L.Input((5,)), L.Dense(8, activation="tanh"), L.Dense(3, dtype="float32")])
    inner = keras.optimizers.Adam(0.02, clipvalue=0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**24, dynamic_growth_steps=3)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    optimizer.build(model.trainable_variables)
    model.save(os.path.join(folder, "loss_scale.keras"))
    x, y = rng.normal(size=(12, 5)).astype("float32"), rng.integers(0, 3, 12)
    seen = []
    for _ in range(30):
        loss = model.train_on_batch(x, y)
        seen.append([float(loss), float(optimizer.dynamic_scale.numpy()), float(optimizer.step_counter.numpy()),
                     float(inner.iterations.numpy())])
    weights = {f"weight{i}": variable.numpy() for i, variable in enumerate(model.weights)}
    np.savez(os.path.join(folder, "loss_scale.npz"), x=x, y=y, steps=np.array(seen, "float32"), **weights)
    for row in seen:
        print(row)


if __name__ == "__main__":
    main(sys.argv[1])
