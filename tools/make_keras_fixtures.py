#!/usr/bin/env python3
"""Makes tenon/keras/testdata with real Keras 3 on TensorFlow: what keras' tests compare with.

    python tools/make_keras_fixtures.py tenon/keras/testdata

Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""

import io
import json
import os
import sys
from unittest import mock

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["COLUMNS"] = "80"

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

OUT = sys.argv[1]
RNG = np.random.default_rng(7)


def path(name):
    return os.path.join(OUT, name)


def dense_model():
    return keras.Sequential(
        [L.Input((6,)), L.Dense(5, activation="relu"), L.Dense(4, activation="softmax")]
    )


def conv_model():
    image = L.Input((8, 8, 3), name="image")
    extra = L.Input((4,), name="extra")
    x = L.Conv2D(4, 3, padding="same")(image)
    y = L.BatchNormalization()(x)
    y = L.ReLU()(y)
    x = L.Add()([x, y])
    x = L.MaxPooling2D()(x)
    x = L.ZeroPadding2D(1)(x)
    x = L.DepthwiseConv2D(3, strides=2, activation="tanh")(x)
    x = L.BatchNormalization()(x)
    x = L.GlobalAveragePooling2D()(x)
    x = L.Concatenate()([x, L.LayerNormalization()(extra)])
    out = L.Dense(4)(x)
    return keras.Model([image, extra], out)


def data(model, rows=8):
    x = [RNG.standard_normal((rows, *i.shape[1:])).astype("float32") for i in model.inputs]
    return x, RNG.integers(0, 4, rows)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "sgd_nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adam_amsgrad_clipnorm": lambda: keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.05),
    "adamw": lambda: keras.optimizers.AdamW(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "rmsprop_centered": lambda: keras.optimizers.RMSprop(
        0.01, momentum=0.9, centered=True, global_clipnorm=0.5
    ),
    "sgd_decay": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), clipvalue=0.01
    ),
}


def training_cases():
    """NAME.keras before training, NAME.npz: batch, gradients, loss, weights after each of 3 steps."""
    for kind, build in {"dense": dense_model, "conv": conv_model}.items():
        for name, optimizer in OPTIMIZERS.items():
            keras.utils.clear_session()
            keras.utils.set_random_seed(3)
            model = build()
            from_logits = kind == "conv"
            loss = (
                keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                if from_logits
                else "sparse_categorical_crossentropy"
            )
            model.compile(optimizer(), loss, metrics=["accuracy"])
            model.optimizer.build(model.trainable_variables)
            model.save(path(f"{kind}_{name}.keras"))
            x, y = data(model)
            arrays = {f"x{i}": v for i, v in enumerate(x)} | {"y": y}
            arrays["predicted"] = model.predict(x, verbose=0)

            @tf.function
            def gradients():
                with tf.GradientTape() as tape:
                    value = model.compute_loss(y=y, y_pred=model(x, training=True))
                return tape.gradient(value, [v.value for v in model.trainable_variables])

            saved = model.get_weights()
            for i, g in enumerate(gradients()):
                arrays[f"gradient{i}"] = g.numpy()
            model.set_weights(saved)
            for step in range(3):
                logs = model.train_on_batch(x, y, return_dict=True)
                arrays[f"loss{step}"] = np.float32(logs["loss"])
                arrays[f"accuracy{step}"] = np.float32(logs["accuracy"])
                i = 0
                for layer in model.layers:
                    for w in layer.get_weights():
                        arrays[f"step{step}_weight{i}"] = w
                        i += 1
            np.savez(path(f"{kind}_{name}.npz"), **arrays)
            if name == "adam":
                model.save(path(f"{kind}_trained.keras"))


def loss_cases():
    """losses.json: loss, arguments, shapes and the value that Keras gives."""
    cases = []
    p4 = RNG.dirichlet(np.ones(4), 5).astype("float32")
    logits = RNG.standard_normal((5, 4)).astype("float32")
    labels = RNG.integers(0, 4, 5)
    onehot = np.eye(4, dtype="float32")[labels]
    binary = RNG.integers(0, 2, (5, 1)).astype("float32")
    p1 = RNG.random((5, 1)).astype("float32")
    weights = RNG.random(5).astype("float32")
    for cls, config, y, pred in [
        ("SparseCategoricalCrossentropy", {}, labels, p4),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, labels, logits),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, labels[:, None], logits),
        ("CategoricalCrossentropy", {}, onehot, p4),
        ("CategoricalCrossentropy", {"label_smoothing": 0.1}, onehot, p4),
        ("CategoricalCrossentropy", {"from_logits": True}, onehot, logits),
        ("BinaryCrossentropy", {}, binary, p1),
        ("BinaryCrossentropy", {"label_smoothing": 0.2}, binary[:, 0], p1),
        ("BinaryCrossentropy", {"from_logits": True}, binary, logits[:, :1]),
        ("MeanSquaredError", {}, onehot, p4),
        ("MeanSquaredError", {"reduction": "sum"}, onehot, p4),
        ("MeanAbsoluteError", {}, binary[:, 0], p1),
    ]:
        for w in (None, weights):
            loss = getattr(keras.losses, cls)(**config)
            cases.append(
                {
                    "loss": keras.saving.serialize_keras_object(loss),
                    "y_shape": list(y.shape),
                    "y": y.ravel().tolist(),
                    "y_is_integer": bool(y.dtype.kind == "i"),
                    "pred_shape": list(pred.shape),
                    "pred": pred.ravel().tolist(),
                    "weight": None if w is None else w.tolist(),
                    "value": float(loss(y, pred, sample_weight=w)),
                }
            )
    with open(path("losses.json"), "w") as f:
        json.dump(cases, f)


def initializer_cases():
    """initializers.json: what each gives for a shape under seed 11."""
    cases = []
    for name in ["GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform",
                 "LecunNormal", "RandomNormal", "RandomUniform", "TruncatedNormal", "Orthogonal",
                 "VarianceScaling"]:
        for shape in [(3, 5), (5, 3), (2, 2, 3, 4)]:
            initializer = getattr(keras.initializers, name)(seed=11)
            value = np.asarray(initializer(shape))
            cases.append(
                {
                    "initializer": keras.saving.serialize_keras_object(initializer),
                    "shape": list(shape),
                    "value": value.ravel().tolist(),
                }
            )
    with open(path("initializers.json"), "w") as f:
        json.dump(cases, f)


def dropout_case():
    """dropout.json: two training calls of Dropout(0.4, seed=5) on ones."""
    layer = L.Dropout(0.4, seed=5)
    ones = np.ones((4, 6), "float32")
    calls = [np.asarray(layer(ones, training=True)).ravel().tolist() for _ in range(2)]
    with open(path("dropout.json"), "w") as f:
        json.dump(calls, f)


def layer_configs():
    """layers.json: every layer of ours as Keras serialises it."""
    keras.utils.clear_session()
    made = [
        L.Dense(4), L.Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal"),
        L.Activation("relu"), L.Dropout(0.5), L.Dropout(0.2, seed=3), L.Flatten(),
        L.Reshape((2, -1)), L.Rescaling(1 / 255.0), L.Conv2D(3, 3),
        L.Conv2D(8, (3, 5), strides=2, padding="same", dilation_rate=1, groups=1),
        L.DepthwiseConv2D(3, depth_multiplier=2), L.MaxPooling2D(), L.MaxPooling2D(3, strides=2),
        L.AveragePooling2D(2), L.GlobalAveragePooling2D(), L.GlobalMaxPooling2D(keepdims=True),
        L.BatchNormalization(), L.LayerNormalization(), L.Add(), L.Subtract(), L.Multiply(),
        L.Average(), L.Maximum(), L.Minimum(), L.Concatenate(axis=1), L.ZeroPadding2D(),
        L.ZeroPadding2D(((1, 2), (3, 4))), L.ReLU(max_value=6), L.Softmax(), L.LeakyReLU(),
        L.Permute((2, 1)), L.Conv1D(4, 3, padding="causal", dilation_rate=2),
        L.SeparableConv2D(4, 3, depth_multiplier=2), L.Conv2DTranspose(4, 3, strides=2),
        L.MaxPooling1D(2), L.AveragePooling1D(3, strides=2, padding="same"),
        L.GlobalAveragePooling1D(), L.GlobalMaxPooling1D(keepdims=True), L.Embedding(10, 4),
        L.Normalization(), L.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0]),
        L.GroupNormalization(2), L.UpSampling1D(3), L.UpSampling2D((2, 3)), L.RepeatVector(3),
        L.Cropping1D((1, 2)), L.Cropping2D(((1, 2), (0, 3))), L.ZeroPadding1D(2),
    ]
    with open(path("layers.json"), "w") as f:
        json.dump([keras.saving.serialize_keras_object(layer) for layer in made], f)
    optimizers = [make() for make in OPTIMIZERS.values()]
    with open(path("optimizers.json"), "w") as f:
        json.dump([keras.saving.serialize_keras_object(o) for o in optimizers], f)


def summaries():
    """NAME.summary.txt and NAME.model.json of two fresh models."""
    for kind, build in {"dense": dense_model, "conv": conv_model}.items():
        keras.utils.clear_session()
        model = build()
        lines = io.StringIO()
        model.summary(print_fn=lambda text, line_break=True: lines.write(text))
        with open(path(f"{kind}.summary.txt"), "w") as f:
            f.write(lines.getvalue())
        with open(path(f"{kind}.model.json"), "w") as f:
            f.write(model.to_json())


def progress_bars():
    """progress.json: runs of Progbar on a made-up clock, and what it printed."""
    cases = []
    for verbose in (1, 2):
        for target, times, values in [
            (3, [0.0, 0.5, 0.52, 2.0], [("accuracy", 0.5), ("loss", 2.30259)]),
            (120, [0.0, 40.0, 41.0, 7000.0, 7100.5], [("loss", 0.00042)]),
            (10, [0.0, 0.0004, 0.2, 0.3], [("loss", -3.5), ("zero", 0.0)]),
            (1, [0.0, 0.01], [("loss", float("nan"))]),
        ]:
            clock = {"now": 1000.0}
            out = []
            with mock.patch("time.time", lambda: clock["now"]), mock.patch(
                "keras.src.utils.io_utils.print_msg", lambda m, line_break=True: out.append(m)
            ):
                bar = keras.utils.Progbar(target, verbose=verbose, stateful_metrics=None)
                bar.stateful_metrics = {k for k, _ in values}
                for i, t in enumerate(times[1:]):
                    clock["now"] = 1000.0 + t
                    last = i == len(times) - 2
                    if last or verbose == 1:
                        bar.update(target if last else i + 1, values, finalize=last)
            cases.append(
                {"verbose": verbose, "target": target, "times": times[1:],
                 "values": [[k, None if v != v else v] for k, v in values],
                 "printed": "".join(out)}
            )
    with open(path("progress.json"), "w") as f:
        json.dump(cases, f)


def legacy_sequential(k):
    """Keras 2 lets the first layer tell the input's shape."""
    two = k is not keras
    shape = {"input_shape": (6, 6, 1)} if two else {}
    first = [] if two else [k.Input((6, 6, 1))]
    return k.Sequential(first + [k.layers.Conv2D(2, 3, activation="relu", **shape), k.layers.BatchNormalization(), k.layers.MaxPooling2D(),
                                 k.layers.Flatten(), k.layers.Dropout(0.2), k.layers.Dense(3, activation="softmax")])


def legacy_functional(k):
    x = k.Input((4,))
    y, z = k.layers.Dense(3, activation="relu", name="a")(x), k.layers.Dense(3, name="b")(x)
    both = k.layers.LayerNormalization()(k.layers.Concatenate()([k.layers.Add()([y, z]), y]))
    return k.Model(x, [k.layers.Dense(2, name="out")(both), k.layers.Dense(1, activation="sigmoid", name="out2")(y)])


def legacy_files():
    """Files named .h5, by Keras 3 and by Keras 2 (tf_keras), and what their models predict."""
    import tf_keras

    for tag, k in (("keras3", keras), ("keras2", tf_keras)):
        for make in (legacy_sequential, legacy_functional):
            net = make(k)
            for i, w in enumerate(net.weights):
                low, high = (0.5, 1.0) if "variance" in w.name else (-0.5, 0.8)
                w.assign(np.random.default_rng(i).uniform(low, high, w.shape))
            name = f"legacy_{tag}_{make.__name__.removeprefix('legacy_')}"
            net.save(path(name + ".h5"))
            x = np.random.default_rng(0).normal(size=(3, *net.input_shape[1:])).astype(np.float32)
            y = net(x)
            outputs = y if isinstance(y, (list, tuple)) else [y]
            np.savez(path(name + ".npz"), x=x, **{f"y{i}": np.asarray(v) for i, v in enumerate(outputs)})


def main():
    os.makedirs(OUT, exist_ok=True)
    training_cases()
    loss_cases()
    initializer_cases()
    dropout_case()
    layer_configs()
    summaries()
    progress_bars()
    legacy_files()


main()
