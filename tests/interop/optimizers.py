"""Some epochs of training: averages of weights, gradients added up over steps, Adafactor and Muon leave what Keras leaves.

Compared are the weights and the optimizer's variables that `tenon train --save` stores, on one device and mirrored on two.
"""
import os
import tempfile

from common import Checks, train

import keras
import numpy as np
import tensorflow as tf
from keras import layers, optimizers

SCHEDULE = optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)
CASES = {
    "ema": lambda: optimizers.SGD(0.2, use_ema=True, ema_momentum=0.7),
    "ema_overwrites": lambda: optimizers.Adam(0.05, use_ema=True, ema_momentum=0.6, ema_overwrite_frequency=3),
    "accumulation": lambda: optimizers.SGD(0.3, gradient_accumulation_steps=3),
    "accumulation_adam": lambda: optimizers.AdamW(0.05, weight_decay=0.1, clipnorm=0.2, gradient_accumulation_steps=2),
    "accumulation_nadam": lambda: optimizers.Nadam(0.05, global_clipnorm=0.3, gradient_accumulation_steps=4),
    "accumulation_ema": lambda: optimizers.RMSprop(SCHEDULE, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "factor": lambda: optimizers.Adam(0.05, loss_scale_factor=1024.0, clipvalue=0.05),
    "adafactor": lambda: optimizers.Adafactor(0.1, clip_threshold=0.5),
    "adafactor_schedule": lambda: optimizers.Adafactor(SCHEDULE, beta_2_decay=-0.6, relative_step=False),
    "muon": lambda: optimizers.Muon(0.02),
    "muon_options": lambda: optimizers.Muon(0.02, exclude_layers=["last"], nesterov=False, rms_rate=None, ns_steps=3, adam_weight_decay=None),
}


def network(optimizer, with_table=True):
    x = keras.Input((6,))
    y = layers.Flatten()(layers.Embedding(10, 3)(x)) if with_table else layers.Rescaling(0.1)(x)
    y = layers.Dense(7, activation="tanh", kernel_constraint=keras.constraints.MaxNorm(1.1))(y)
    y = layers.Dense(5, kernel_regularizer="l2")(layers.Reshape((7, 1))(y))
    y = layers.Conv1D(4, 3)(y)
    model = keras.Model(x, layers.Dense(3, name="last")(layers.Flatten()(y)))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def compare(check, what, found, model, limit):
    for got, want in zip(found.variables, model.variables):
        check.close(got.numpy(), want.numpy(), f"{what}: {want.path}", limit)
    check.that(len(found.optimizer.variables) == len(model.optimizer.variables), f"{what}: how many variables", len(found.optimizer.variables))
    for got, want in zip(found.optimizer.variables, model.optimizer.variables):
        check.close(got.numpy(), want.numpy(), f"{what}: {want.path}", 10 * limit)


def check_case(check, name, folder):
    rng = np.random.default_rng(31)
    x, y = rng.integers(0, 10, (22, 6)).astype(np.float32), rng.integers(0, 3, 22)
    before, after, data = (os.path.join(folder, file) for file in ("before.keras", "after.keras", "data.npz"))
    np.savez(data, x=x, y=y)
    keras.utils.set_random_seed(3)
    model = network(CASES[name](), with_table=name != "factor")  # Keras divides no gradients of lookups
    model.save(before)
    # Three batches an epoch, the last of two rows; three epochs leave some sums incomplete.
    train(before, data, epochs=3, batch_size=10, shuffle="false", save=after)
    model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    # Signs and orthogonal directions enlarge the last bit of what is near zero.
    compare(check, name, keras.saving.load_model(after), model, 2e-3 if "muon" in name or "adafactor" in name else 5e-4)


def check_mirrored(check, name, folder):
    rng = np.random.default_rng(32)
    x, y = rng.integers(0, 10, (23, 6)).astype(np.float32), rng.integers(0, 3, 23)
    before, after, data = (os.path.join(folder, file) for file in ("before.keras", "after.keras", "data.npz"))
    np.savez(data, x=x, y=y)
    keras.utils.set_random_seed(3)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = network(CASES[name](), with_table=False)
    model.save(before)
    train(before, data, epochs=3, batch_size=10, shuffle="false", save=after, strategy="mirrored", virtual_cpus=2, devices="CPU:0,CPU:1")
    model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    found = keras.saving.load_model(after)
    for got, want in zip(found.variables, model.variables):
        check.close(got.numpy(), want.numpy(), f"mirrored {name}: {want.path}", 1e-3)


def check_mirrored_accumulation(check, folder):
    """Each replica has sums of its own, which are added up for an update: that of one device where shares are even.

    (Keras 3 cannot add gradients up under a strategy of TensorFlow's.)
    """
    rng = np.random.default_rng(33)
    x, y = rng.integers(0, 10, (20, 6)).astype(np.float32), rng.integers(0, 3, 20)
    before, data = os.path.join(folder, "before.keras"), os.path.join(folder, "data.npz")
    np.savez(data, x=x, y=y)
    keras.utils.set_random_seed(3)
    network(CASES["accumulation"]()).save(before)
    alone, mirrored = os.path.join(folder, "alone.keras"), os.path.join(folder, "mirrored.keras")
    train(before, data, epochs=4, batch_size=10, shuffle="false", save=alone)
    train(before, data, epochs=4, batch_size=10, shuffle="false", save=mirrored, strategy="mirrored", virtual_cpus=2, devices="CPU:0,CPU:1")
    for got, want in zip(keras.saving.load_model(mirrored).variables, keras.saving.load_model(alone).variables):
        check.close(got.numpy(), want.numpy(), f"mirrored accumulation: {want.path}", 1e-5)


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    check = Checks()
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            check_case(check, name, folder)
    for name in ("ema", "adafactor", "muon"):
        with tempfile.TemporaryDirectory() as folder:
            check_mirrored(check, name, folder)
    with tempfile.TemporaryDirectory() as folder:
        check_mirrored_accumulation(check, folder)
    check.done()


if __name__ == "__main__":
    main()
