#!/usr/bin/env python3
"""How Tenon scales with threads: ms a run for 1, 2, 4, ... threads, beside N one-thread processes and PyTorch.

    ./dev bench scaling
    scaling_bench.py --tenon build/tenon --models DIR [--threads 1,2,4,8,16] [--rows mlp.1,resnet50.8] [--seconds 2]
    scaling_bench.py --write_models DIR         writes the models as Keras JSON; needs Keras

Needs nothing but Python and the program. DIR holds NAME.json (Keras' JSON), from which a SavedModel with made-up
weights is made in NAME/1 by one training step. A row is printed for each model and batch: `ms` by number of threads;
`of_processes`, what a run with N threads reaches of what N one-thread processes side by side reach in the same minute
(memory bandwidth and hyper-threads cancel); `torch_ms` where PyTorch is installed. Then the runs a second of callers
of one small model, as many as threads, against one caller.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile

# (model, batch, is training)
ROWS = [("mlp", 1, False), ("mlp", 256, False), ("mnist_cnn", 1, False), ("mnist_cnn", 64, False), ("mlp_large", 64, False),
        ("mobilenetv2", 1, False), ("mobilenetv2", 16, False), ("resnet50", 8, False), ("mnist_cnn", 64, True), ("resnet50", 8, True)]
INPUTS = {"mlp": (784,), "mlp_large": (1024,), "mnist_cnn": (28, 28, 1)}  # others: (224, 224, 3)
CLASSES = {"mlp": 10, "mnist_cnn": 10}                                   # others: 1000


def shape_of(name):
    return INPUTS.get(name, (224, 224, 3))


def write_npz(path, name, rows):
    def npy(descr, shape, data):
        header = repr({"descr": descr, "fortran_order": False, "shape": shape})
        header += " " * (-(len(header) + 11) % 64) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data
    count = rows
    for size in shape_of(name):
        count *= size
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy("<f4", (rows, *shape_of(name)), struct.pack("<f", 0.5) * count))
        archive.writestr("y.npy", npy("<i8", (rows,), struct.pack("<q", 1) * rows))


def make_saved_model(tenon, models, name):
    folder = os.path.join(models, name)
    if not os.path.isdir(os.path.join(folder, "1")):
        with tempfile.TemporaryDirectory() as scratch:
            data = os.path.join(scratch, "data.npz")
            write_npz(data, name, 4)
            subprocess.run([tenon, "train", "--model", os.path.join(models, name + ".json"), "--data", data, "--optimizer", "sgd",
                            "--loss", "sparse_categorical_crossentropy", "--epochs", "1", "--batch_size", "4", "--export_dir",
                            os.path.join(folder, "1")], check=True, stdout=subprocess.DEVNULL)
    return folder


def command(tenon, models, row, threads, seconds, *more):
    name, batch, training = row
    words = [tenon, "bench", "--batch", str(batch), "--threads", str(threads), "--seconds", str(seconds), *more]
    if training:
        return words + ["--train", "--model", os.path.join(models, name + ".json"), "--optimizer", "adam", "--loss",
                        "sparse_categorical_crossentropy"]
    return words + ["--model_base_path", make_saved_model(tenon, models, name)]


def side_by_side(words, processes):
    """The last line of each of so many processes that run `words` at one time."""
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    lines = []
    for process in started:
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}: exit code {process.returncode}")
        lines.append(json.loads(output.strip().splitlines()[-1]))
    return lines


def torch_model(name):
    from torch import nn
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(-1))
    if name == "mlp_large":
        layers = []
        for before in (1024, 2048, 2048, 2048):
            layers += [nn.Linear(before, 2048), nn.GELU()]
        return nn.Sequential(*layers, nn.Linear(2048, 1000))
    if name == "mnist_cnn":
        return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10))
    import torchvision
    return {"resnet50": torchvision.models.resnet50, "mobilenetv2": torchvision.models.mobilenet_v2}[name]()


def torch_main(name, batch, training, threads, seconds):
    """In a process of its own: prints the median ms of PyTorch's eager mode."""
    import time
    import torch
    torch.set_num_threads(threads)
    model = torch_model(name)
    shape = shape_of(name)
    x = torch.rand(batch, *(shape if len(shape) == 1 else (shape[2], *shape[:2])))
    y = torch.ones(batch, dtype=torch.long)
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        if not training:
            with torch.inference_mode():
                return model(x)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        return optimizer.step()
    model.train(training)
    step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(sorted(times)[len(times) // 2] * 1e3)


def torch_ms(row, threads, seconds):
    name, batch, training = row
    done = subprocess.run([sys.executable, "-B", os.path.abspath(__file__), "--torch", f"{name},{batch},{int(training)},{threads},{seconds}"],
                          capture_output=True, text=True)
    return round(float(done.stdout), 4) if done.returncode == 0 and done.stdout.strip() else None


def has_torch():
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0


def scaling(tenon, models, row, counts, seconds, with_torch):
    ms, ratios, peers = {}, {}, {}
    for threads in counts:
        alone = side_by_side(command(tenon, models, row, threads, seconds), 1)[0]["median_ms"]
        ms[threads] = round(alone, 4)
        if threads > 1:
            processes = side_by_side(command(tenon, models, row, 1, seconds), threads)
            ratios[threads] = round(1 / alone / sum(1 / line["median_ms"] for line in processes), 3)
        if with_torch:
            peers[threads] = torch_ms(row, threads, seconds)
    found = {"figure": f"{row[0]} b{row[1]}{' training step' if row[2] else ''}", "ms": ms, "of_processes": ratios}
    return {**found, "torch_ms": peers} if with_torch else found


def concurrency(tenon, models, threads, seconds):
    """Callers of one Executable of a small model, as many as threads, against one."""
    rates = {}
    for callers in (1, threads):
        line = side_by_side(command(tenon, models, ("mlp", 1, False), threads, seconds, "--concurrency", str(callers)), 1)[0]
        rates[callers] = line.get("runs_per_second", 1e3 / line["median_ms"])
    return {"figure": f"mlp b1, {threads} callers of one Executable, runs a second", "one caller": round(rates[1]),
            "all": round(rates[threads]), "times one": round(rates[threads] / rates[1], 2)}


def write_models(folder):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    layers = keras.layers
    models = {
        "mlp": lambda: keras.Sequential([keras.Input((784,)), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]),
        "mlp_large": lambda: keras.Sequential([keras.Input((1024,))] + [layers.Dense(2048, activation="gelu") for _ in range(4)] +
                                              [layers.Dense(1000)]),
        "mnist_cnn": lambda: keras.Sequential([
            keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")]),
        "mobilenetv2": lambda: keras.applications.MobileNetV2(weights=None),
        "resnet50": lambda: keras.applications.ResNet50(weights=None)}
    os.makedirs(folder, exist_ok=True)
    for name, make in models.items():
        if not os.path.exists(os.path.join(folder, name + ".json")):
            with open(os.path.join(folder, name + ".json"), "w") as file:
                file.write(make().to_json())


def default_counts():
    processors = len(os.sched_getaffinity(0))
    return [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= processors]


def figures(tenon, models=None, counts=None, rows=None, seconds=2.0, with_torch=True):
    with tempfile.TemporaryDirectory() as folder:
        models = models or folder
        if not os.path.exists(os.path.join(models, "mlp.json")):
            write_models(models)
        counts, with_torch = counts or default_counts(), with_torch and has_torch()
        for row in rows or ROWS:
            yield scaling(tenon, models, row, counts, seconds, with_torch)
        yield concurrency(tenon, models, max(counts), seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "tenon"))
    parser.add_argument("--models")
    parser.add_argument("--threads", help="1,2,4,...; the first is 1")
    parser.add_argument("--rows", help="MODEL.BATCH or MODEL.BATCH.train, by commas; all are the default")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--no_torch", action="store_true")
    parser.add_argument("--write_models", metavar="DIR")
    parser.add_argument("--torch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write_models:
        return write_models(options.write_models)
    if options.torch:
        name, batch, training, threads, seconds = options.torch.split(",")
        return torch_main(name, int(batch), training == "1", int(threads), float(seconds))
    counts = [int(count) for count in options.threads.split(",")] if options.threads else None
    rows = None
    if options.rows:
        rows = [(words[0], int(words[1]), len(words) > 2) for words in (row.split(".") for row in options.rows.split(","))]
    for figure in figures(os.path.abspath(options.tenon), options.models, counts, rows, options.seconds, not options.no_torch):
        print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
