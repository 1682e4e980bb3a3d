#!/usr/bin/env python3
"""Makes tenon/keras/testdata/mirrored_NAME.{keras,npz}: training under TensorFlow's MirroredStrategy on logical CPUs.

    python tests/keras/make_mirrored_cases.py tenon/keras/testdata

NAME.keras is the compiled model before training; NAME.npz has the data (x, y, w: sample weights), batch_size, replicas,
losses and accuracies after each batch of fit(), without shuffling, and the trained weights. Metrics are the sums over
the replicas (fit() shows the mean of the replicas' quotients, which weighs the rows of a smaller share more). Moving
statistics, of which Keras 3 leaves each replica its own, are the mean over the replicas, TensorFlow's aggregation of
such variables. Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""
import os
import subprocess
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

RNG = np.random.default_rng(11)


def images(synchronized):
    def build():
        return keras.Sequential([L.Input((6, 6, 2)), L.Conv2D(4, 3), L.BatchNormalization(synchronized=synchronized, momentum=0.9),
                                 L.ReLU(), L.Flatten(), L.Dense(6), L.BatchNormalization(synchronized=synchronized), L.Dense(3)])
    return build


def dense():
    return keras.Sequential([L.Input((5,)), L.Dense(7, activation="tanh"), L.Dense(3)])


# model, replicas, rows, batch size, epochs, optimizer. The first batch is even: TensorFlow's own fit() fails elsewhere.
CASES = {
    "batch_norm": (images(False), 2, 30, 8, 5, lambda: keras.optimizers.SGD(0.05, momentum=0.9)),
    "sync_batch_norm": (images(True), 2, 30, 8, 5, lambda: keras.optimizers.SGD(0.05, momentum=0.9)),
    "sync_absent": (images(True), 3, 13, 6, 3, lambda: keras.optimizers.SGD(0.05)),
    "clipped_absent": (dense, 3, 13, 6, 4, lambda: keras.optimizers.Adam(0.02, clipnorm=0.1)),
}


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        accuracy = self.model._compile_metrics.metrics[0]
        self.seen.append([(mean.total / mean.count).numpy() for mean in (self.model._loss_tracker, accuracy)])


def value(variable):
    copies = getattr(variable.value, "values", None)
    mean = copies is not None and not variable.trainable
    return np.mean([copy.numpy() for copy in copies], axis=0) if mean else variable.numpy()


def make(folder, name):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    build, replicas, rows, batch, epochs, optimizer = CASES[name]
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model = build()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer(), loss, metrics=["accuracy"])
    # A model of its own writes the file: compiled, without the strategy.
    plain = build()
    plain.compile(optimizer(), loss, metrics=["accuracy"])
    plain.optimizer.build(plain.trainable_variables)
    plain.set_weights(model.get_weights())
    plain.save(os.path.join(folder, f"mirrored_{name}.keras"))
    x = RNG.normal(size=(rows, *model.input_shape[1:])).astype("float32")
    y = RNG.integers(0, 3, rows)
    w = RNG.uniform(0.2, 2, rows).astype("float32")
    losses = Losses()
    model.fit(x, y, sample_weight=w, batch_size=batch, epochs=epochs, shuffle=False, verbose=0, callbacks=[losses])
    arrays = {f"weight{i}": value(variable) for i, variable in enumerate(model.weights)}
    np.savez(os.path.join(folder, f"mirrored_{name}.npz"), x=x, y=y, w=w, losses=np.array(losses.seen, "float32"),
             sizes=np.array([replicas, batch, epochs], "int64"), **arrays)
    print(name, losses.seen[-1], len(losses.seen))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        make(*sys.argv[1:])
    else:
        # Collectives of two strategies in one process may meet each other.
        for case in CASES:
            subprocess.run([sys.executable, __file__, sys.argv[1], case], check=True)
