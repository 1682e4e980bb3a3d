"""What the makers of served_models.py share: the list of models, and how they are exported."""
import os
import warnings

from common import Checks, attempt  # noqa: F401  common sets TensorFlow's environment, so it comes first

import keras
import numpy as np
import tensorflow as tf

tf.get_logger().setLevel("ERROR")
warnings.simplefilter("ignore")

MODELS = {}  # name -> maker(folder), which exports a model and returns {signature: inputs of n rows}


def model(maker):
    MODELS[maker.__name__] = maker
    return maker


def rng(n):
    return np.random.default_rng(1000 + n)


def normal(*shape):
    """Inputs of n rows: standard normal."""
    return lambda n: rng(n).standard_normal((n, *shape)).astype(np.float32)


def integers(limit, *shape, dtype=np.int32):
    return lambda n: rng(n).integers(0, limit, (n, *shape)).astype(dtype)


def choice(values, *shape):
    return lambda n: rng(n).choice(np.array(values), (n, *shape))


def randomise(variables):
    """Biases, gains and moving statistics of a fresh model are zeros and ones, which hide faults."""
    draw = np.random.default_rng(7)
    for v in variables:
        if v.dtype in ("float32", "float16", "bfloat16", tf.float32) and "seed" not in v.name:
            value = np.asarray(v)
            if value.size and np.all(value == value.flat[0]):
                v.assign((draw.uniform(0.5, 1.5, value.shape) if "var" in v.name or "gamma" in v.name else
                          draw.uniform(-0.5, 0.5, value.shape)).astype(value.dtype))


def export_keras(net, folder, **inputs):
    """The way of the Keras documentation. inputs: by the name of the signature's input."""
    randomise(net.variables)
    net.export(folder, verbose=False)
    return {"serving_default": inputs}


def export_module(module, folder, **signatures):
    """signatures: name -> (tf.function with an input signature, inputs by name)."""
    tf.saved_model.save(module, folder, {name: function for name, (function, _) in signatures.items()})
    return {name: inputs for name, (_, inputs) in signatures.items()}


def write_lines(folder, name, lines):
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    path = os.path.join(os.path.dirname(folder), name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))
    return path


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name)


def function(*specs):
    return tf.function(input_signature=list(specs))


WORDS = "the quick brown fox jumps over a lazy dog while seven wizards box with jolly zebras at night".split()


def sentences(n):
    draw = rng(n)
    marks = ["", "!", ", ", " -- ", "'s", "?"]
    rows = ["".join(f"{str(draw.choice(WORDS)).title()}{draw.choice(marks)} " for _ in range(draw.integers(0, 12))) for _ in range(n)]
    return np.array([row.encode() for row in rows], object)


__all__ = ["MODELS", "WORDS", "choice", "export_keras", "export_module", "function", "integers", "keras", "model", "normal", "np", "os",
           "randomise", "rng", "sentences", "spec", "tf", "write_lines"]
