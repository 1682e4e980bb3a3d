"""Every constructor of keras.applications answers in Tenon as in TensorFlow, and no slower: prints a table.

    PYTHONPATH=tests/support .venv/bin/python tests/interop/keras_applications.py [NAME ...] [--default_size] [--seconds 2]

Biases and gains are random and moving statistics those of a batch, since a fresh network's zeros and ones hide faults. Each model has a process of its own. A time is the
median of calls by one thread, with as many threads inside as there are cores; TensorFlow's runs with its default, oneDNN.
"""
import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

BATCHES = (1, 3)
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
SLOWER_AT_MOST = 1.5


def randomise(net, np):
    """Numbers as of a trained network: statistics are those of a batch, or a hundred blocks blow rounding up to the size of the outputs (by which
    TensorFlow differs from itself, with and without oneDNN)."""
    draw = np.random.default_rng(1)
    layers = list(net._flatten_layers())
    normalisations = [layer for layer in layers if type(layer).__name__ == "BatchNormalization"]
    for v in net.weights:
        value = np.asarray(v)
        if v.name in ("bias", "beta"):
            v.assign(draw.normal(0, 0.1, value.shape))
        elif v.name == "gamma" and value.size and np.all(value == value.flat[0]):
            v.assign(value * draw.uniform(0.7, 1.3, value.shape))
    for layer in normalisations:
        layer.momentum = 0.0
    net(draw.uniform(0, 255, (12, *net.input_shape[1:])).astype(np.float32), training=True)
    for layer in normalisations:
        layer.momentum = 0.99
        for v in (layer.moving_mean, layer.moving_variance):
            value = np.asarray(v)
            v.assign(value * draw.uniform(0.9, 1.1, value.shape) + (0.05 if v is layer.moving_variance else 0.0))


def median_ms(call, seconds):
    for _ in range(2):
        call()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]


def measure(name, size, seconds):
    """In a process of its own: one line of JSON."""
    import keras
    import numpy as np
    import tensorflow as tf

    from common import tenon

    more = {"input_shape": (size, size, 3)} if size else {}
    net = getattr(keras.applications, name)(weights=None, classifier_activation=None, **more)
    randomise(net, np)
    shape = net.input_shape[1:]
    row = {"name": name, "size": shape[0], "error": 0.0}
    with tempfile.TemporaryDirectory() as work:
        folder = os.path.join(work, "1")
        net.export(folder, verbose=False)
        del net
        call = tf.saved_model.load(folder).signatures["serving_default"]
        key = next(iter(call.structured_input_signature[1]))
        for batch in BATCHES:
            x = np.random.default_rng(batch).uniform(0, 255, (batch, *shape)).astype(np.float32)
            want = next(iter(call(**{key: tf.constant(x)}).values())).numpy()
            np.save(os.path.join(work, "x.npy"), x)
            tenon("run", folder, "--inputs", f"{key}={work}/x.npy", "--outdir", work, "--overwrite")
            got = np.load(os.path.join(work, next(iter(call.structured_outputs)) + ".npy"))
            row["error"] = max(row["error"], float(np.max(np.abs(got - want)) / np.max(np.abs(want))))
            constant = tf.constant(x)
            row[f"tensorflow_ms_{batch}"] = median_ms(lambda value=constant: call(**{key: value}), seconds)
        del call
        for batch in BATCHES:
            printed = tenon("bench", folder, "--batch", batch, "--seconds", seconds, "--json")
            row[f"tenon_ms_{batch}"] = json.loads(printed.splitlines()[-1])["median_ms"]
    print(json.dumps(row))


def constructors():
    import keras
    found = {name: value for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    return sorted(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--default_size", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--one", action="store_true")
    options = parser.parse_args()
    if options.one:
        measure(options.names[0], 0 if options.default_size else SMALLEST.get(options.names[0], 32), options.seconds)
        return
    listed = subprocess.run([sys.executable, "-c", "import keras_applications as k; print(*k.constructors())"], capture_output=True, text=True,
                            check=True, cwd=os.path.dirname(os.path.abspath(__file__)))
    failed = 0
    print(f"{'model':20} {'size':>4} {'error':>9}" + "".join(f"  {who} ms, batch {batch}" for batch in BATCHES for who in ("TensorFlow", "Tenon")))
    for name in options.names or listed.stdout.split():
        words = [sys.executable, "-B", __file__, name, "--one", f"--seconds={options.seconds}"] + ["--default_size"] * options.default_size
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:20} FAIL {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1][:300]}", flush=True)
            failed += 1
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        times = [(row[f"tensorflow_ms_{batch}"], row[f"tenon_ms_{batch}"]) for batch in BATCHES]
        wrong, slow = not row["error"] <= 1e-4, any(ours > SLOWER_AT_MOST * theirs for theirs, ours in times)
        failed += wrong or slow
        print(f"{name:20} {row['size']:4} {row['error']:9.2g}" + "".join(f" {a:21.2f} {b:16.2f}" for a, b in times) + "  WRONG" * wrong + "  SLOW" * slow,
              flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
