"""Training on rows that are read as they are needed: memory, going on with the same bits, caches, damaged files."""
import json
import os
import struct
import subprocess
import tempfile
import time
import zipfile

from common import DIGITS, TENON, Checks, attempt, tenon

import numpy as np

CRC = [0] * 256
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = _crc >> 1 ^ (0x82F63B78 if _crc & 1 else 0)
    CRC[_byte] = _crc
SPARSE = ["--loss=sparse_categorical_crossentropy", "--metrics=accuracy", "--optimizer=adam"]


def masked_crc(data):
    """TFRecord's checksum, by its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def example(features):
    """A framed tf.Example: arrays of floats, and of ints that are not negative."""
    def feature(name, values):
        values = np.ravel(values)
        if values.dtype.kind == "f":
            kind = field(2, field(1, values.astype("<f4").tobytes()))
        else:
            kind = field(3, field(1, b"".join(varint(int(value)) for value in values)))
        return field(1, field(1, name.encode()) + field(2, kind))
    data = field(1, b"".join(feature(name, values) for name, values in features.items()))
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


def record(x, label):
    return example({"x": np.asarray(x, "<f4"), "label": np.array(label)})


def peak_memory(*arguments):
    """Runs `tenon ARGUMENTS`; returns what it printed and its VmHWM in MB."""
    peak = 0
    with subprocess.Popen([TENON, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while running.poll() is None:
            with open(f"/proc/{running.pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("VmHWM"):
                        peak = max(peak, int(line.split()[1]) / 1024)
            time.sleep(0.01)
        return running.stdout.read(), running.stderr.read(), peak


def more_data_than_memory(check, folder):
    """300 MB are trained on in less than 120; the file is the same 320 rows 320 times."""
    rng = np.random.default_rng(5)
    block = b"".join(record(rng.normal(size=750) + i % 2, i % 2) for i in range(320))
    data = os.path.join(folder, "large.tfrecord")
    with open(data, "wb") as file:
        for _ in range(320):
            file.write(block)
    size = os.path.getsize(data) / 2 ** 20
    check.that(size > 290, "the file is large", size)
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 750], "dtype": "float32", "name": "x"}},
              {"class_name": "Dense", "config": {"units": 2, "activation": "softmax"}}]
    model = os.path.join(folder, "m.json")
    with open(model, "w", encoding="utf-8") as file:
        json.dump({"class_name": "Sequential", "config": {"name": "m", "layers": layers}}, file)
    saved = os.path.join(folder, "m.keras")
    out, err, peak = peak_memory("train", "--model", model, "--data", data, *SPARSE, "--json", "--shuffle_buffer=4000",
                                 "--batch_size=128", "--save", saved)
    check.that('"accuracy":' in out and json.loads(out)["accuracy"] > 0.9, "it is learned from", out + err)
    check.that(0 < peak < 120, "300 MB are trained on in less than 120 MB", peak)
    out, err, peak = peak_memory("evaluate", "--model", saved, "--data", data, "--json", "--batch_size=128")
    check.that('"accuracy":' in out and 0 < peak < 120, "and judged", (out, err, peak))


def digits_as_records(folder, name="digits", parts=3):
    rows = np.loadtxt(os.path.join(DIGITS, "train.csv"), delimiter=",")[:300]
    where = os.path.join(folder, name)
    os.makedirs(where)
    for part in range(parts):
        with open(os.path.join(where, f"{part}.tfrecord"), "wb") as file:
            file.write(b"".join(record(row[:-1], int(row[-1])) for row in rows[part::parts]))
    return where


def weights(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5")


def going_on(check, folder):
    """Epochs of 4 steps, 10 of which are a pass: what is done in parts has the bits of the whole, whatever helps."""
    data = digits_as_records(folder)
    train = ["train", "--model=mlp", "--data", data, *SPARSE, "--json", "--batch_size=32", "--steps_per_epoch=4",
             "--shuffle_buffer=70", "--seed=3"]

    def run(name, *parts):
        printed = ""
        for more in parts:
            printed += tenon(*train, "--checkpoint_dir", os.path.join(folder, name), "--resume", "--save",
                             os.path.join(folder, name + ".keras"), *more)
        return printed, weights(os.path.join(folder, name + ".keras"))

    whole = run("whole", ["--epochs=7"])
    check.that(whole == run("parts", ["--epochs=1"], ["--epochs=2", "--prefetch=3"], ["--epochs=4"], ["--epochs=7"]),
               "epochs go on at the saved position", whole[0])
    check.that(whole == run("threads", ["--epochs=7", "--threads=1", "--prefetch=1"]), "for any number of threads")
    cache = ["--cache", os.path.join(folder, "rows")]
    check.that(whole == run("cached", ["--epochs=2", *cache], ["--epochs=7", *cache]), "and from a cache that is not full yet")
    check.that(os.path.exists(cache[1]), "the cache appears when a pass has ended")
    os.rename(os.path.join(data, "0.tfrecord"), os.path.join(folder, "away"))
    with open(os.path.join(data, "0.tfrecord"), "wb") as file:
        file.write(record([0] * 64, 0))
    check.that(whole == run("read", ["--epochs=7", *cache]), "and then serves all passes")


def streamed_is_read(check, folder):
    """Without shuffling, streamed rows train as those in memory do; evaluation and prediction go the same way."""
    csv, records = os.path.join(DIGITS, "train.csv"), digits_as_records(folder)
    for data in (csv, records):
        saved = []
        for how in (["--shuffle=false"], ["--shuffle=false", "--shuffle_buffer=1"]):
            saved.append(os.path.join(folder, f"{len(saved)}.keras"))
            tenon("train", "--model=mlp", "--data", data, *SPARSE, "--epochs=2", *how, "--validation_data", data, "--save", saved[-1],
                  "--export_dir", os.path.join(folder, "exported", os.path.basename(data), str(len(saved))))
        check.that(weights(saved[0]) == weights(saved[1]), f"equal weights by {data}")
    tenon("verify", os.path.join(folder, "exported", "digits", "2"))


def two_and_two():
    """A model of the inputs age [1] and side [2, 3], and the outputs score [2] and kind of three classes."""
    def layer(kind, name, config, *inputs):
        tensors = [{"class_name": "__keras_tensor__", "config": {"shape": [None, 1], "dtype": "float32", "keras_history": [one, 0, 0]}}
                   for one in inputs]
        nodes = [{"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}]
        return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes if inputs else []}
    layers = [layer("InputLayer", "age", {"batch_shape": [None, 1], "dtype": "float32"}),
              layer("InputLayer", "side", {"batch_shape": [None, 2, 3], "dtype": "float32"}), layer("Flatten", "flat", {}, "side"),
              layer("Concatenate", "all", {"axis": -1}, "age", "flat"), layer("Dense", "score", {"units": 2}, "all"),
              layer("Dense", "kind", {"units": 3, "activation": "softmax"}, "all")]
    return {"class_name": "Functional", "config": {
        "name": "two", "layers": layers, "input_layers": [["age", 0, 0], ["side", 0, 0]],
        "output_layers": [["score", 0, 0], ["kind", 0, 0]]}}


def named_data(folder, rows=101):
    """The same rows as an NPZ, as a CSV with other columns beside and as TFRecords in two files, side flat in these."""
    rng = np.random.default_rng(1)
    arrays = {"score": rng.normal(size=(rows, 2)), "age": rng.normal(size=(rows, 1)), "side": rng.normal(size=(rows, 2, 3))}
    arrays = {name: values.astype("f4") for name, values in arrays.items()}
    arrays["kind"] = rng.integers(0, 3, rows)
    paths = [os.path.join(folder, name) for name in ("data.npz", "data.csv", "records")]
    np.savez(paths[0], **arrays)
    columns = [("id", [f"row {i}" for i in range(rows)])]
    for name, values in arrays.items():
        flat = values.reshape(rows, -1)
        columns += [(f"{name}_{i}" if flat.shape[1] > 1 else name, flat[:, i]) for i in range(flat.shape[1])]
    with open(paths[1], "w", encoding="utf-8") as file:
        for line in zip(*([name, *map(str, values)] for name, values in columns)):
            file.write(",".join(line) + "\n")
    os.makedirs(paths[2])
    for part, (begin, end) in enumerate(((0, 60), (60, rows))):
        with open(os.path.join(paths[2], f"{part}.tfrecord"), "wb") as file:
            for i in range(begin, end):
                file.write(example({**{name: values[i] for name, values in arrays.items()}, "other": np.array(i)}))
    return paths


def several_inputs(check, folder):
    """Rows of several inputs and outputs: streamed or in memory, of whatever kind, they give the same bits."""
    model = os.path.join(folder, "two.json")
    with open(model, "w", encoding="utf-8") as file:
        json.dump(two_and_two(), file)
    losses = json.dumps({"score": "mse", "kind": "sparse_categorical_crossentropy"})
    train = ["train", "--model", model, "--loss", losses, "--optimizer=adam", "--epochs=2", "--batch_size=16", "--json"]
    seen, drawn, judged, predicted, asked = [], [], [], [], []
    for data in named_data(folder):
        saved, exported = os.path.join(folder, "two.keras"), os.path.join(folder, "exported", os.path.basename(data))
        for how in (["--shuffle=false"], ["--shuffle=false", "--shuffle_buffer=1"]):
            printed = tenon(*train, "--data", data, "--validation_data", data, *how, "--save", saved)
            seen.append((printed, weights(saved)))
        for how in ([], ["--threads=1", "--prefetch=1"], ["--cache", data + ".cache"], ["--cache", data + ".cache"]):
            printed = tenon(*train, "--data", data, "--shuffle_buffer=40", *how, "--save", saved, "--export_dir",
                            exported + str(len(drawn)))
            drawn.append((printed, weights(saved)))
        judged.append(tenon("evaluate", "--model", saved, "--data", data, "--json"))
        predicted.append(tenon("predict", "--model", saved, "--data", data))
        asked.append(tenon("predict", "--model", exported + str(len(drawn) - 1), "--data", data))
        tenon("verify", exported + str(len(drawn) - 1))
    for what, found in (("trained on", seen), ("drawn", drawn), ("judged", judged), ("predicted from", predicted),
                        ("given to a SavedModel", asked)):
        check.that(len(set(found)) == 1 and found, f"named data are {what} alike", found)
    csv = os.path.join(folder, "data.csv")
    with open(csv, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open(csv, "w", encoding="utf-8") as file:
        file.write("\n".join(lines[:40] + [lines[40].rpartition(",")[0] + ",0.5"] + lines[41:]))
    for more in ([], ["--shuffle_buffer=10"]):
        done = attempt(*train, "--data", csv, *more)
        check.that(done.returncode == 1 and "row 40" in done.stderr and "'kind'" in done.stderr, "a class that is none is named",
                   done.stderr)
    path = os.path.join(folder, "records", "1.tfrecord")
    with open(path, "ab") as file:
        place = file.tell()
        file.write(example({"age": np.zeros(1, "f4"), "side": np.zeros(5, "f4"), "score": np.zeros(2, "f4"), "kind": np.array(1)}))
    for more in ([], ["--shuffle_buffer=10"]):
        done = attempt(*train, "--data", os.path.dirname(path), *more)
        check.that(done.returncode == 1 and f"{path}': the record at byte {place}" in done.stderr and "'side'" in done.stderr,
                   "a feature of another shape is named", done.stderr)


def what_is_wrong(check, folder):
    data = digits_as_records(folder)
    train = ["train", "--model=mlp", *SPARSE, "--shuffle_buffer=10", "--data"]
    for flag, value in (("--validation_split", "0.1"), ("--shuffle_buffer", "-1"), ("--steps_per_epoch", "-1")):
        done = attempt(*train, data, f"{flag}={value}")
        check.that(done.returncode == 2 and flag.strip("-") in done.stderr, f"{flag}={value} is refused", done.stderr)
    model = os.path.join(folder, "m.keras")
    tenon(*train, data, "--save", model)
    path = os.path.join(data, "1.tfrecord")
    with open(path, "r+b") as file:
        size = len(record([0] * 64, 0))
        file.seek(2 * size + 40)
        file.write(b"\xff\xff")
    for done in (attempt(*train, data), attempt("evaluate", "--model", model, "--data", data)):
        check.that(done.returncode == 1 and f"{path}': the record at byte {2 * size}" in done.stderr, "a damaged record is named",
                   done.stderr)
    with open(path, "wb") as file:
        file.write(record([1, float("nan")] + [0] * 62, 1))
    done = attempt(*train, data)
    check.that(done.returncode == 1 and "NaN" in done.stderr and path in done.stderr, "so is a feature that is NaN", done.stderr)


def main():
    check = Checks()
    for part in (more_data_than_memory, going_on, streamed_is_read, several_inputs, what_is_wrong):
        with tempfile.TemporaryDirectory() as folder:
            part(check, folder)
    check.done()


if __name__ == "__main__":
    main()
