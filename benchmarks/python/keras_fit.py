#!/usr/bin/env python3
"""What a step of fit() costs, Keras on Tenon beside Keras on TensorFlow: one JSON line a model.

    PYTHONPATH=build/python .venv/bin/python benchmarks/python/keras_fit.py [--tenon-only]

Microseconds of the fastest of several epochs, and of the processor time of all threads in the epoch that took least. The
two take turns, an epoch each, so that what else the machine does meets both.
"""
import json
import os
import subprocess
import sys
import time

EPOCHS = 5


def models(keras, numpy):
    """By name: the model, its data and the batch size."""
    layers = keras.layers
    random = numpy.random.default_rng(0)
    mlp = keras.Sequential([layers.Input((784,)), layers.Dense(128, activation="relu"),
                            layers.Dense(10, activation="softmax")])
    cnn = keras.Sequential([
        layers.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.BatchNormalization(),
        layers.MaxPooling2D(), layers.Conv2D(64, 3, activation="relu"), layers.BatchNormalization(),
        layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")])
    recurrent = keras.Sequential([layers.Input((32, 16)), layers.LSTM(64), layers.Dense(10, activation="softmax")])
    for name, model, shape, rows, batch in (("mlp_b64", mlp, (784,), 12800, 64), ("mnist_cnn_b64", cnn, (28, 28, 1), 1280, 64),
                                            ("lstm_b32", recurrent, (32, 16), 640, 32)):
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        yield name, model, random.uniform(size=(rows, *shape)).astype("float32"), random.integers(0, 10, rows), batch


def serve(backend):
    """Trains one epoch of the next model for each line read, and says what it took; an empty line: the next model."""
    os.environ.update(KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if backend == "tenon":
        import tenon  # noqa: F401
    import keras
    import numpy

    for name, model, x, y, batch in models(keras, numpy):
        model.fit(x, y, batch_size=batch, verbose=0)
        steps = -(-len(x) // batch)
        print(name, file=out, flush=True)
        while sys.stdin.readline().strip():
            wall, processor = time.perf_counter(), time.process_time()
            model.fit(x, y, batch_size=batch, verbose=0)
            print((time.perf_counter() - wall) / steps * 1e6, (time.process_time() - processor) / steps * 1e6, file=out,
                  flush=True)


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2])
    backends = ["tenon"] + ([] if "--tenon-only" in sys.argv else ["tensorflow"])
    children = {b: subprocess.Popen([sys.executable, __file__, "--serve", b], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for b in backends}
    while True:
        names = {child.stdout.readline().strip() for child in children.values()}
        if names == {""}:
            break
        figures = {b: [] for b in backends}
        for _ in range(EPOCHS):
            for backend, child in children.items():
                child.stdin.write("epoch\n")
                child.stdin.flush()
                figures[backend].append(tuple(map(float, child.stdout.readline().split())))
        best = {b: [round(min(column)) for column in zip(*rows)] for b, rows in figures.items()}
        line = {"model": names.pop(), **{f"{b}_us": f[0] for b, f in best.items()},
                **{f"{b}_processor_us": f[1] for b, f in best.items()}}
        if len(best) == 2:
            line["ratio"] = round(best["tenon"][0] / best["tensorflow"][0], 2)
        print(json.dumps(line), flush=True)
        for child in children.values():
            child.stdin.write("\n")
            child.stdin.flush()
    for child in children.values():
        child.wait()
    return None


if __name__ == "__main__":
    sys.exit(main())
