"""Training steps per second beside TensorFlow 2.21's `train_on_batch`, same models, same batches."""
import json
import os
import subprocess
import sys
import tempfile
import time

SECONDS, ROUNDS, BATCHES = 4.0, 3, (64, 32, 128)


def mlp(keras):
    return keras.Sequential([keras.Input((784,)), keras.layers.Dense(128, activation="relu"),
                             keras.layers.Dense(10, activation="softmax")])


def mnist_cnn(keras):
    layers = keras.layers
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
                             layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
                             layers.Dropout(0.5), layers.Dense(10, activation="softmax")])


MODELS = {"mlp_784_128_10": mlp, "mnist_cnn": mnist_cnn}


def peer_main(name, path, batch):
    """In a process of its own: writes the model to `path`, then, for each line on stdin, times steps for SECONDS."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    model = MODELS[name](keras)
    model.save(path)
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x, y = rng.random((batch, *model.input_shape[1:]), np.float32), rng.integers(0, 10, batch)
    for _ in range(5):
        model.train_on_batch(x, y)
    print("ready", flush=True)
    for _ in sys.stdin:
        times, end = [], time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times.append(time.perf_counter() - start)
        print(sorted(times)[len(times) // 2] * 1e3, flush=True)


def tenon_step_ms(tenon, path, batch):
    output = subprocess.run([tenon, "bench", "--train", "--model", path, "--batch", str(batch), "--optimizer", "adam", "--loss",
                             "sparse_categorical_crossentropy", "--seconds", str(SECONDS), "--json"],
                            capture_output=True, text=True, check=True).stdout
    return json.loads(output.strip().splitlines()[-1])["median_ms"]


def figure(tenon, name, batch):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name + ".keras")
        with subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), name, path, str(batch)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as peer:
            peer.stdout.readline()
            ours, theirs = [], []
            for _ in range(ROUNDS):
                peer.stdin.write("\n")
                peer.stdin.flush()
                theirs.append(float(peer.stdout.readline()))
                ours.append(tenon_step_ms(tenon, path, batch))
            peer.stdin.close()
    return {"figure": f"training step, {name}, batch {batch}, median ms", "tenon": round(min(ours), 4),
            "tensorflow train_on_batch": round(min(theirs), 4), "times faster": round(min(theirs) / min(ours), 2)}


def figures(tenon):
    for batch in BATCHES:
        for name in MODELS:
            yield figure(tenon, name, batch)


if __name__ == "__main__":
    peer_main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
