"""The .tflite files of lite_bench, made by TensorFlow's converter from keras_models' and kept beside them, and its interpreter as the peer.

    lite_peer.py make NAME                    writes CACHE/NAME.float.tflite and CACHE/NAME.int8.tflite
    lite_peer.py run FILE xnnpack|plain       prints "ready", then for each number of seconds on stdin runs FILE so long on
                                              one thread and prints one JSON line
"""
import json
import os
import subprocess
import sys

import keras_models

KINDS = ("float", "int8")


def path_of(name, kind):
    """The file, made at first use and when the SavedModel that it comes from was made anew."""
    saved_model, _ = keras_models.cached(name)
    path = os.path.join(keras_models.CACHE, f"{name}.{kind}.tflite")
    source = os.path.join(saved_model, "1", "saved_model.pb")
    if not os.path.isfile(path) or os.path.getmtime(path) < os.path.getmtime(source):
        subprocess.run([sys.executable, "-B", __file__, "make", name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def make(name):
    import numpy as np
    import keras
    import tensorflow as tf
    model = keras.models.load_model(os.path.join(keras_models.CACHE, name + ".keras"))
    shape = tuple(model.input_shape[1:])
    rng = np.random.default_rng(0)
    batched = keras.layers.Input(batch_shape=(1, *shape))
    fixed = keras.Model(batched, model(batched, training=False))
    for kind in KINDS:
        converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
        if kind == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([rng.random((1, *shape)).astype(np.float32)] for _ in range(8))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        with open(os.path.join(keras_models.CACHE, f"{name}.{kind}.tflite"), "wb") as f:
            f.write(converter.convert())


def run(path, delegate):
    import numpy as np
    import tensorflow as tf
    kinds = tf.lite.experimental.OpResolverType
    resolver = kinds.AUTO if delegate == "xnnpack" else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(path, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        integers = detail["dtype"] == np.int8
        x = rng.integers(-128, 128, detail["shape"]) if integers else rng.random(detail["shape"])
        interpreter.set_tensor(detail["index"], x.astype(detail["dtype"]))
    keras_models.serve_figures(interpreter.invoke)


class Peer:
    """TensorFlow Lite in a process of its own, idle between two measurements."""

    def __init__(self, path, delegate):
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
        self.process = subprocess.Popen([sys.executable, "-B", __file__, "run", path, delegate], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"TensorFlow Lite does not run {path}")

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["median_ms"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    {"make": make, "run": run}[sys.argv[1]](*sys.argv[2:])
