"""Small programs of Keras whose numbers must not depend on the backend; keras_test.py compares those of Tenon.

    KERAS_BACKEND=tensorflow python python/tests/keras_cases.py    writes keras_truth.json: what TensorFlow computes
    KERAS_BACKEND=tenon python python/tests/keras_cases.py compare  [CASE ...]    compares, and says how far apart they are

A case returns numbers in lists and dictionaries; every layer is made after set_random_seed().
"""
import json
import os
import sys
import tempfile

import numpy as np

TRUTH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras_truth.json")
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def _numbers(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype("float32")


def _classes(x, count, seed=1):
    return (x @ _numbers(x.shape[1], count, seed)).argmax(1).astype("int32")


def _history(model, x, y, **options):
    options = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0, **options}
    return model.fit(x, y, **options).history


def _sum(weights):
    return [float(np.abs(w).sum()) for w in weights]


@case
def mlp(keras):
    layers = keras.layers
    x = _numbers(100, 8)
    y = _classes(x, 3)
    model = keras.Sequential([layers.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    result = _history(model, x, y, validation_split=0.2)
    result["evaluate"] = model.evaluate(x, y, verbose=0)
    result["predict"] = model.predict(x[:5], verbose=0).tolist()
    result["train_on_batch"] = model.train_on_batch(x[:10], y[:10])
    result["test_on_batch"] = model.test_on_batch(x[:10], y[:10])
    result["predict_on_batch"] = model.predict_on_batch(x[:2]).tolist()
    return result


@case
def cnn(keras):
    layers = keras.layers
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(48, 12, 12, 1)).astype("float32"), rng.integers(0, 4, size=48)
    model = keras.Sequential([
        layers.Input((12, 12, 1)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(),
        layers.MaxPooling2D(), layers.Dropout(0.25), layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization(),
        layers.Activation("relu"), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(4, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    result = _history(model, x, y)
    result["evaluate"] = model.evaluate(x, y, verbose=0)
    return result


@case
def functional(keras):
    """Two inputs by name, a shared layer, two outputs with losses and weights of their own."""
    layers = keras.layers
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = layers.Dense(5, activation="tanh", kernel_regularizer="l2")
    joined = layers.Concatenate()([shared(a), shared(b), layers.Subtract()([a, b])])
    one = layers.Dense(1, name="one")(joined)
    two = layers.Dense(2, activation="sigmoid", name="two")(layers.LayerNormalization()(joined))
    model = keras.Model({"a": a, "b": b}, {"one": one, "two": two})
    model.compile("rmsprop", {"one": "mse", "two": "binary_crossentropy"}, loss_weights={"one": 1.0, "two": 0.5},
                  metrics={"one": ["mae"], "two": [keras.metrics.AUC(), keras.metrics.BinaryAccuracy()]})
    x = {"a": _numbers(40, 6), "b": _numbers(40, 6, 2)}
    y = {"one": x["a"][:, :1] - x["b"][:, :1], "two": (x["a"][:, :2] > 0).astype("float32")}
    weight = np.linspace(0.5, 1.5, 40).astype("float32")
    result = _history(model, x, y, sample_weight={"one": weight, "two": weight})
    return {name.split("auc")[0] + ("auc" if "auc" in name else ""): value for name, value in result.items()}


@case
def recurrent(keras):
    layers = keras.layers
    rng = np.random.default_rng(3)
    x = rng.integers(0, 20, size=(32, 7))
    x[::3, 4:] = 0
    y = (x.sum(1) % 2).astype("float32")
    result = {}
    for name, layer in (("lstm", layers.LSTM(6)), ("gru", layers.GRU(6, return_sequences=True)),
                        ("bidirectional", layers.Bidirectional(layers.LSTM(4, return_sequences=True))),
                        ("simple", layers.SimpleRNN(5, go_backwards=True)),
                        ("unrolled", layers.LSTM(4, unroll=True))):
        model = keras.Sequential([layers.Input((7,), dtype="int32"), layers.Embedding(20, 5, mask_zero=True), layer])
        if len(model.output_shape) == 3:
            model.add(layers.GlobalAveragePooling1D())
        model.add(layers.Dense(1, activation="sigmoid"))
        # Not Adam: on TensorFlow Keras adds up the squares of an Embedding's gradients where rows repeat.
        model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "binary_crossentropy")
        result[name] = _history(model, x, y)["loss"]
    return result


@case
def attention(keras):
    layers = keras.layers
    tokens = keras.Input((6, 8))
    mixed = layers.MultiHeadAttention(2, 4)(tokens, tokens, use_causal_mask=True)
    mixed = layers.LayerNormalization()(layers.Add()([tokens, mixed]))
    wide = layers.Dense(16, activation="gelu")(mixed)
    out = layers.Dense(2)(layers.GlobalMaxPooling1D()(layers.Add()([mixed, layers.Dense(8)(wide)])))
    model = keras.Model(tokens, out)
    model.compile(keras.optimizers.AdamW(1e-2), "mse")
    x = np.random.default_rng(0).normal(size=(24, 6, 8)).astype("float32")
    return _history(model, x, x[:, 0, :2])


@case
def convolutions(keras):
    layers = keras.layers
    rng = np.random.default_rng(0)
    result = {}
    for name, shape, stack in (
            ("1d", (10, 3), [layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.MaxPooling1D(2),
                             layers.Conv1DTranspose(3, 3, strides=2)]),
            ("2d", (8, 8, 2), [layers.Conv2D(4, 3, strides=2, padding="same"), layers.Conv2DTranspose(3, 3, strides=2),
                               layers.UpSampling2D(2), layers.ZeroPadding2D(1), layers.Cropping2D(2)]),
            ("dilated", (9, 9, 2), [layers.Conv2D(4, 3, dilation_rate=2), layers.GroupNormalization(2)]),
            ("groups", (8, 8, 4), [layers.Conv2D(4, 3, groups=2)]),
            ("separable", (8, 8, 2), [layers.SeparableConv2D(4, 3), layers.DepthwiseConv2D(3, depth_multiplier=2)]),
            ("3d", (6, 6, 6, 2), [layers.Conv3D(3, 3), layers.AveragePooling3D(2), layers.Conv3DTranspose(2, 2)]),
            ("channels_first", (2, 8, 8), [layers.Conv2D(3, 3, data_format="channels_first"),
                                           layers.MaxPooling2D(2, data_format="channels_first")])):
        model = keras.Sequential([layers.Input(shape), *stack, layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        x = rng.normal(size=(16, *shape)).astype("float32")
        result[name] = _history(model, x, x.reshape(16, -1)[:, :1], batch_size=8)["loss"]
    return result


@case
def optimizers(keras):
    x = _numbers(32, 4)
    y = x[:, :2] * 2
    result = {}
    made = keras.optimizers
    for name, optimizer in (
            ("sgd", made.SGD(0.1, momentum=0.9, nesterov=True)), ("rmsprop", made.RMSprop(0.01, centered=True)),
            ("adam", made.Adam(0.01, amsgrad=True)), ("adamw", made.AdamW(0.01)), ("adadelta", made.Adadelta(1.0)),
            ("adagrad", made.Adagrad(0.1)), ("adamax", made.Adamax(0.01)), ("adafactor", made.Adafactor(0.1)),
            ("nadam", made.Nadam(0.01)), ("ftrl", made.Ftrl(0.1)), ("lion", made.Lion(0.01)), ("lamb", made.Lamb(0.01)),
            ("muon", made.Muon(0.01)), ("clipped", made.SGD(0.1, clipnorm=0.5)),
            ("global", made.SGD(0.1, global_clipnorm=0.5)), ("ema", made.Adam(0.01, use_ema=True)),
            ("accumulated", made.SGD(0.1, gradient_accumulation_steps=2)), ("decayed", made.SGD(0.1, weight_decay=0.01)),
            ("scheduled", made.Adam(made.schedules.CosineDecay(0.1, 10)))):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, use_bias=False), keras.layers.Dense(2)])
        model.compile(optimizer, "mse")
        result[name] = _history(model, x, y, batch_size=8)["loss"]
    return result


@case
def losses_and_metrics(keras):
    x = _numbers(24, 5)
    probabilities = np.abs(_numbers(24, 3, 4))
    y = probabilities / probabilities.sum(1, keepdims=True)
    result = {}
    for loss in ("kl_divergence", "categorical_crossentropy", "huber", "log_cosh", "mae", "poisson", "squared_hinge",
                 "cosine_similarity", "binary_focal_crossentropy"):
        model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(3, activation="softmax")])
        model.compile("sgd", loss, metrics=["cosine_similarity", "top_k_categorical_accuracy", keras.metrics.R2Score(),
                                            keras.metrics.F1Score(), "mape"])
        result[loss] = {k: v for k, v in _history(model, x, y, epochs=1).items()}
        result[loss]["f1_score"] = np.asarray(result[loss]["f1_score"]).tolist()
    return result


@case
def custom_step(keras):
    """A train_step of the program's own, with a tape, and a layer whose call() has a condition."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
    else:
        import tenon.tf as tf

    class Scaled(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", constraint="non_neg")
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x, training=False):
            if training:
                self.calls.assign_add(1.0)
            return keras.ops.where(keras.ops.mean(x) > 0, x * self.scale, x - self.scale)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([Scaled(), keras.layers.Dense(1)])
            self.error = keras.metrics.Mean(name="error")

        def call(self, x, training=False):
            return self.inner(x, training=training)

        @property
        def metrics(self):
            return [self.error]

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            self.error.update_state(loss)
            return {"error": self.error.result()}

    model = Model()
    model.compile(keras.optimizers.Adam(0.05))
    x = _numbers(40, 3)
    result = _history(model, x, x[:, :1] * 3)
    result["calls"] = float(model.inner.layers[0].calls.numpy())
    return result


@case
def callbacks(keras):
    x = _numbers(48, 4)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "best.weights.h5")
        history = _history(model, x, x[:, :1], epochs=8, validation_data=(x[:8], x[:8, :1]), callbacks=[
            keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5, min_delta=0.01),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, min_delta=0.001, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(path, save_weights_only=True, save_best_only=True),
            keras.callbacks.CSVLogger(os.path.join(folder, "log.csv")), keras.callbacks.TerminateOnNaN(),
            keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: seen.append([step, logs["loss"]]))])
        model.load_weights(path)
    return {**history, "seen": seen[:6], "weights": _sum(model.get_weights())}


@case
def mixed_precision(keras):
    layers = keras.layers
    x = _numbers(32, 6)
    result = {}
    for policy in ("mixed_float16", "mixed_bfloat16", "float64"):
        keras.utils.set_random_seed(1)
        with _policy(keras, policy):
            model = keras.Sequential([layers.Input((6,)), layers.Dense(8, activation="relu"),
                                      layers.Dense(1, dtype="float64" if policy == "float64" else "float32")])
            model.compile(keras.optimizers.SGD(0.05), "mse")
            result[policy] = _history(model, x, x[:, :1])["loss"]
    return result


class _policy:
    def __init__(self, keras, name):
        self._keras, self._name = keras, name

    def __enter__(self):
        self._before = self._keras.config.dtype_policy()
        self._keras.config.set_dtype_policy(self._name)

    def __exit__(self, *_):
        self._keras.config.set_dtype_policy(self._before)


@case
def sources(keras):
    """What fit() takes: a generator, a PyDataset, class weights, several steps an execution, a last short batch."""
    x = _numbers(50, 4)
    y = (x[:, 0] > 0).astype("int32")

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return x[i * 10:i * 10 + 10], y[i * 10:i * 10 + 10]

    def generated():
        while True:
            for i in range(5):
                yield x[i * 10:i * 10 + 10], y[i * 10:i * 10 + 10]

    def fresh(**options):
        keras.utils.set_random_seed(2)
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", **options)
        return model

    result = {"pydataset": fresh().fit(Batches(), epochs=2, shuffle=False, verbose=0).history["loss"],
              "generator": fresh().fit(generated(), steps_per_epoch=5, epochs=2, verbose=0).history["loss"],
              "class_weight": _history(fresh(), x, y, class_weight={0: 1.0, 1: 3.0})["loss"],
              "steps_per_execution": _history(fresh(steps_per_execution=3), x, y)["loss"],
              "eagerly": _history(fresh(run_eagerly=True), x, y)["loss"]}
    model = fresh(steps_per_execution=2)
    result["predict"] = model.predict(x, batch_size=16, verbose=0)[-2:].tolist()
    return result


@case
def randomness(keras):
    """With a seed, draws are TensorFlow's."""
    random = keras.random
    x = np.ones((2, 6), "float32")
    result = {"normal": random.normal((4,), seed=3), "uniform": random.uniform((4,), 1., 2., seed=3),
              "randint": random.randint((5,), 0, 100, seed=3), "truncated": random.truncated_normal((4,), seed=3),
              "gamma": random.gamma((3,), 2.0, seed=3), "binomial": random.binomial((3,), 10, 0.5, seed=3),
              "beta": random.beta((3,), 1.0, 2.0, seed=3), "dropout": random.dropout(x, 0.5, seed=3),
              "shuffle": random.shuffle(np.arange(6), seed=3),
              "categorical": random.categorical(np.log([[0.2, 0.3, 0.5]]).astype("float32"), 6, seed=3),
              "noise": keras.layers.GaussianNoise(1.0, seed=5)(x, training=True),
              "glorot": keras.initializers.GlorotUniform(4)((2, 3)),
              "orthogonal": np.abs(keras.ops.convert_to_numpy(keras.initializers.Orthogonal(seed=4)((3, 3))))}
    return {name: keras.ops.convert_to_numpy(value).astype("float64").tolist() for name, value in result.items()}


@case
def preprocessing(keras):
    layers = keras.layers
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4, 10, 10, 3)).astype("float32")
    normal = layers.Normalization()
    normal.adapt(_numbers(20, 3))
    result = {"normalization": normal(_numbers(2, 3, 9)), "rescaling": layers.Rescaling(2., 1.)(images)[0, 0],
              "resizing": layers.Resizing(5, 7)(images)[0, :2], "center_crop": layers.CenterCrop(4, 4)(images)[0, 0],
              "category": layers.CategoryEncoding(4, output_mode="multi_hot")(np.array([[0, 2], [1, 3]])),
              "discretization": layers.Discretization([0., 1.])(np.array([[-1., 0.5, 3.]])),
              "flip": layers.RandomFlip(seed=1)(images, training=True)[:, 0, 0],
              "rotation": layers.RandomRotation(0.2, seed=1)(images, training=True)[:, 5, 5],
              "zoom": layers.RandomZoom(0.3, seed=1)(images, training=True)[:, 5, 5],
              "contrast": layers.RandomContrast(0.3, seed=1)(images, training=True)[:, 5, 5]}
    return {name: keras.ops.convert_to_numpy(value).astype("float64").tolist() for name, value in result.items()}


@case
def stateful(keras):
    layers = keras.layers
    model = keras.Sequential([layers.Input(batch_shape=(4, 3, 2)), layers.LSTM(3, stateful=True), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 3, 2)).astype("float32")
    result = _history(model, x, x[:, 0, :1], batch_size=4)
    result["predict"] = model.predict(x, batch_size=4, verbose=0).tolist()
    return result


def run(keras, name):
    keras.utils.set_random_seed(11)
    keras.utils.clear_session()
    return CASES[name](keras)


def difference(found, expected):
    """The largest relative difference (absolute below 1) of two structures of numbers."""
    if isinstance(expected, dict):
        if set(found) != set(expected):
            return float("inf")
        return max((difference(found[k], expected[k]) for k in expected), default=0.0)
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max(initial=0.0))


def _plain(value):
    """As JSON has it."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def main():
    import time

    if os.environ.get("KERAS_BACKEND") == "tenon":
        import tenon  # noqa: F401
    import keras

    names = sys.argv[2:] or list(CASES)
    if sys.argv[1:2] != ["compare"]:
        if keras.backend.backend() != "tensorflow":
            raise SystemExit("the truth is TensorFlow's: KERAS_BACKEND=tensorflow")
        found = {name: _plain(run(keras, name)) for name in CASES}
        with open(TRUTH, "w") as file:
            json.dump(found, file, indent=0)
            file.write("\n")
        return
    with open(TRUTH) as file:
        truth = json.load(file)
    for name in names:
        began = time.time()
        try:
            found = _plain(run(keras, name))
            print(f"{name}: {difference(found, truth[name]):.2g} ({time.time() - began:.1f} s)", flush=True)
            for part in truth[name]:
                apart = difference(found[part], truth[name][part]) if part in found else float("inf")
                if apart > 1e-5:
                    print(f"  {part}: {apart:.2g}  {str(found.get(part))[:90]}  {str(truth[name][part])[:90]}")
        except Exception:  # noqa: BLE001: the other cases are wanted too
            import traceback
            print(f"{name}: failed\n{traceback.format_exc()}", flush=True)


if __name__ == "__main__":
    main()
