"""Metrics of compiled .keras files: `tenon evaluate` and `tenon train` report Keras' names and values, mirrored on two devices too."""
import json
import os
import tempfile

from common import Checks, tenon, train

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras import metrics as M

LIMIT = 1e-5


def value_of(log):
    return np.asarray(log, np.float64)


def compare(check, what, found, wanted):
    check.that(set(found) == set(wanted), f"{what}: names", f"{sorted(found)}, want {sorted(wanted)}")
    for name in sorted(set(found) & set(wanted)):
        got, want = value_of(found[name]), value_of(wanted[name])
        ok = got.shape == want.shape and np.all(np.abs(got - want) <= LIMIT * (1 + np.abs(want)))
        check.that(ok, f"{what}: {name}", f"{got}, want {want}")


def judge(check, what, model, folder, x, y, arrays):
    """`evaluate` in batches that do not divide the rows, then two epochs of `train`."""
    path, data = os.path.join(folder, "model.keras"), os.path.join(folder, "data.npz")
    np.savez(data, **arrays)
    model.save(path)
    found = json.loads(tenon("evaluate", "--model", path, "--data", data, "--batch_size", 7, "--json").splitlines()[-1])
    compare(check, f"{what}: evaluate", found, model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True))
    epochs = train(path, data, epochs=2, batch_size=7, shuffle="false")
    history = model.fit(x, y, batch_size=7, epochs=2, shuffle=False, verbose=0).history
    for number, epoch in enumerate(epochs):
        epoch.pop("epoch")
        compare(check, f"{what}: epoch {number + 1}", epoch, {name: values[number] for name, values in history.items()})


def binary(check, folder, rng):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(1, activation="sigmoid")])
    metrics = ["accuracy", "AUC", "precision", "recall", "mape", M.AUC(curve="PR", name="pr"), M.AUC(summation_method="majoring", name="major"),
               M.Precision(thresholds=[0.2, 0.5]), M.TruePositives(), M.FalseNegatives([0.4, 0.6]), M.SensitivityAtSpecificity(0.5), M.PrecisionAtRecall(0.7),
               M.BinaryIoU(), M.RootMeanSquaredError(), M.BinaryCrossentropy(), M.Hinge(), keras.losses.mean_absolute_error, keras.losses.MeanSquaredError()]
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=metrics, weighted_metrics=["AUC", "accuracy", M.Recall(0.3)])
    x, y = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 2, (40, 1)).astype(bool)
    judge(check, "binary", model, folder, x, y, {"x": x, "y": y})


def classes(check, folder, rng):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="softmax")])
    metrics = ["accuracy", "f1_score", M.F1Score("macro", name="macro"), M.FBetaScore("weighted", beta=0.5), M.AUC(multi_label=True, num_labels=4, label_weights=[1, 2, 3, 4]),
               M.Precision(top_k=2), M.Recall(class_id=1), M.OneHotMeanIoU(4), M.TopKCategoricalAccuracy(2), M.KLDivergence(), M.CategoricalCrossentropy(),
               M.CosineSimilarity(), M.R2Score(), M.PearsonCorrelation(), M.MeanMetricWrapper(keras.losses.huber, name="hub", delta=0.1)]
    model.compile(keras.optimizers.SGD(0.2), "categorical_crossentropy", metrics=metrics)
    x, y = rng.normal(size=(40, 6)).astype(np.float32), np.eye(4, dtype=np.float32)[rng.integers(0, 4, 40)]
    judge(check, "classes", model, folder, x, y, {"x": x, "y": y})


def two_outputs(check, folder, rng):
    a = keras.Input((6,), name="a")
    outputs = {"number": layers.Dense(2, name="number")(a), "kind": layers.Dense(1, activation="sigmoid", name="kind")(a)}
    model = keras.Model(a, outputs)
    model.compile(keras.optimizers.SGD(0.05), {"number": "mse", "kind": "binary_crossentropy"},
                  metrics={"number": [M.RootMeanSquaredError(), "r2_score"], "kind": ["accuracy", M.AUC(name="area")]},
                  weighted_metrics={"kind": ["accuracy", M.Precision(0.6)]})
    x = rng.normal(size=(40, 6)).astype(np.float32)
    y = {"number": rng.normal(size=(40, 2)).astype(np.float32), "kind": rng.integers(0, 2, (40, 1))}
    judge(check, "two outputs", model, folder, x, y, {"a": x, **y})


def masked_steps(check, folder, rng):
    """Steps that a mask leaves out count in metrics that wrap a function, and in no others."""
    model = keras.Sequential([keras.Input((5,)), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(6, return_sequences=True), layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy", "mse", M.RootMeanSquaredError(), M.AUC(name="area"), M.Precision()])
    x, y = rng.integers(0, 9, (20, 5)).astype(np.float32), rng.integers(0, 2, (20, 5, 1))
    judge(check, "masked", model, folder, x, y, {"x": x, "y": y})


def ignored(check, folder, rng):
    """A class that counts nowhere in the loss, and does in the metric, as in Keras."""
    model = keras.Sequential([keras.Input((4, 3)), layers.Dense(5, activation="softmax")])
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=[M.SparseCategoricalCrossentropy(ignore_class=255, name="entropy"), M.MeanIoU(5, sparse_y_pred=False)])
    x, y = rng.normal(size=(20, 4, 3)).astype(np.float32), rng.integers(0, 5, (20, 4))
    y[rng.random((20, 4)) < 0.3] = 255
    judge(check, "ignored class", model, folder, x, y, {"x": x, "y": y})


def mirrored(check, folder, rng):
    """The states of two replicas are added up, as those of a TensorFlow strategy are."""
    x, y = rng.normal(size=(27, 6)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 27)]
    path, data = os.path.join(folder, "model.keras"), os.path.join(folder, "data.npz")
    np.savez(data, x=x, y=y)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="softmax")])
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy",
                      metrics=["accuracy", M.AUC(name="area"), M.F1Score(), M.Precision(0.4), M.OneHotMeanIoU(3), M.RootMeanSquaredError(), M.R2Score()])
    model.save(path)
    epochs = train(path, data, epochs=2, batch_size=8, shuffle="false", strategy="mirrored", virtual_cpus=2, devices="CPU:0,CPU:1")
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    for number, epoch in enumerate(epochs):
        epoch.pop("epoch")
        compare(check, f"mirrored: epoch {number + 1}", epoch, {name: values[number] for name, values in history.items()})


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    check = Checks()
    for case in (binary, classes, two_outputs, masked_steps, ignored, mirrored):
        keras.utils.set_random_seed(7)
        with tempfile.TemporaryDirectory() as folder:
            case(check, folder, np.random.default_rng(21))
    check.done()


if __name__ == "__main__":
    main()
