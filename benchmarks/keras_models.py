"""The models of the benchmarks, made by Keras once and kept in a folder, and TensorFlow as the peer that runs them.

    keras_models.py make FOLDER NAME ...          writes FOLDER/NAME/1 (a SavedModel) and FOLDER/NAME.keras
    keras_models.py infer|train FOLDER NAME BATCH
        loads the model, prints "ready", then for each number of seconds on stdin calls it so long and prints one JSON line
"""
import hashlib
import json
import os
import resource
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(HERE, ".cache")


def mlp(keras, layers):
    return keras.Sequential([keras.Input((784,)), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")])


def mlp_large(keras, layers):
    return keras.Sequential([keras.Input((1024,))] + [layers.Dense(2048, activation="gelu") for _ in range(4)] + [layers.Dense(1000)])


def mnist_cnn(keras, layers):
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
                             layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
                             layers.Dropout(0.5), layers.Dense(10, activation="softmax")])


def resnet50(keras, layers):
    return keras.applications.ResNet50(weights=None)


def mobilenetv2(keras, layers):
    return keras.applications.MobileNetV2(weights=None)


def efficientnetb0(keras, layers):
    return keras.applications.EfficientNetB0(weights=None)


def lstm(keras, layers):
    return keras.Sequential([keras.Input((100, 64)), layers.LSTM(128, return_sequences=True), layers.LSTM(128), layers.Dense(10)])


def encoder(keras, layers, blocks, width, heads, length=128):
    """A stack of transformer blocks over token numbers, as BERT has them."""
    ids = keras.Input((length,), dtype="int32", name="ids")
    x = layers.Embedding(30522, width)(ids) + layers.Embedding(length, width)(keras.ops.arange(length))
    x = layers.LayerNormalization(epsilon=1e-12)(x)
    for _ in range(blocks):
        attended = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization(epsilon=1e-12)(x + attended)
        hidden = layers.Dense(4 * width, activation="gelu")(x)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dense(width)(hidden))
    return keras.Model(ids, layers.Dense(2)(x[:, 0]))


def bert_base(keras, layers):
    return encoder(keras, layers, 12, 768, 12)


def transformer_small(keras, layers):
    return encoder(keras, layers, 4, 256, 4)


MODELS = {f.__name__: f for f in (mlp, mlp_large, mnist_cnn, mobilenetv2, resnet50, efficientnetb0, lstm, transformer_small, bert_base)}
PROBABILITIES = {"mlp", "mnist_cnn", "mobilenetv2", "resnet50", "efficientnetb0"}  # the others give logits
INT_LIMIT = 30000  # token numbers are drawn below it


def cached(name):
    """Folder of the SavedModel and path of the .keras file, made at first use and when this file or Keras changes."""
    with open(__file__, "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    stamp = os.path.join(CACHE, name + ".stamp")
    if not os.path.isfile(stamp) or open(stamp, encoding="utf-8").read() != want:
        subprocess.run([sys.executable, "-B", __file__, "make", CACHE, name], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with open(stamp, "w", encoding="utf-8") as f:
            f.write(want)
    return os.path.join(CACHE, name), os.path.join(CACHE, name + ".keras")


def make(folder, name):
    import keras
    keras.utils.set_random_seed(7)
    model = MODELS[name](keras, keras.layers)
    os.makedirs(folder, exist_ok=True)
    model.save(os.path.join(folder, name + ".keras"))
    model.export(os.path.join(folder, name, "1"), verbose=False)


def made_up(np, shape, dtype):
    rng = np.random.default_rng(0)
    return rng.integers(0, INT_LIMIT, shape).astype(dtype) if "int" in dtype else rng.random(shape).astype(dtype)


def inference_call(folder, name, batch):
    import numpy as np
    import tensorflow as tf
    call = tf.saved_model.load(os.path.join(folder, name, "1")).signatures["serving_default"]
    (key, spec), = call.structured_input_signature[1].items()
    x = made_up(np, (batch, *spec.shape[1:]), spec.dtype.name)
    return lambda: [value.numpy() for value in call(**{key: tf.constant(x)}).values()]


def training_call(folder, name, batch):
    import keras
    import numpy as np
    model = keras.models.load_model(os.path.join(folder, name + ".keras"))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=name not in PROBABILITIES))
    x = made_up(np, (batch, *model.input_shape[1:]), model.inputs[0].dtype)
    y = np.random.default_rng(1).integers(0, model.output_shape[-1], batch)
    return lambda: model.train_on_batch(x, y)


def serve_figures(call):
    for _ in range(3):
        call()
    print("ready", flush=True)
    for seconds in sys.stdin:
        times, end = [], time.perf_counter() + float(seconds)
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"median_ms": sorted(times)[len(times) // 2],
                          "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


class Peer:
    """TensorFlow in a process of its own, idle between two measurements."""

    def __init__(self, kind, name, batch):
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
        self.process = subprocess.Popen([sys.executable, "-B", __file__, kind, CACHE, name, str(batch)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"TensorFlow does not run {name}")

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.argv[1] == "make":
        for model_name in sys.argv[3:]:
            make(sys.argv[2], model_name)
    else:
        make_call = inference_call if sys.argv[1] == "infer" else training_call
        serve_figures(make_call(sys.argv[2], sys.argv[3], int(sys.argv[4])))
