"""What people meet when they first train: labels by name, files of all kinds, outputs that cannot be written, going on."""
import gzip
import json
import os
import subprocess
import tempfile
import zipfile

from common import ROOT, TENON, Checks, attempt, tenon, train

import numpy as np

SPARSE = ["--loss=sparse_categorical_crossentropy", "--metrics=accuracy"]
PETS = "a,label\n" + "0,cat\n10,dog\n20,zebra\n" * 2


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def sequential(folder, name, shape, *layers):
    """A model file as Keras' to_json() writes it."""
    config = [{"class_name": "InputLayer", "config": {"batch_shape": [None, *shape], "dtype": "float32", "name": "pixels"}}]
    config += [{"class_name": kind, "config": options} for kind, options in layers]
    return write(folder, name, json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": config}}))


def failed(check, done, what, code, *mentions, status=1):
    line = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    ok = done.returncode == status and line.startswith(f"error: {code}: ") and all(mention in line for mention in mentions)
    check.that(ok, what, f"exit code {done.returncode}, {done.stderr.strip()[-400:]!r}")


def classes_belong_to_the_model(check, folder):
    model, export = os.path.join(folder, "pets.keras"), os.path.join(folder, "pets", "1")
    checkpoints = os.path.join(folder, "pets_checkpoints")
    pets = write(folder, "pets.csv", PETS)
    later = write(folder, "later.csv", "a,label\n10,dog\n20,zebra\n")
    train = ["train", "--model=mlp", "--data", pets, "--optimizer=adam", "--learning_rate=0.02", *SPARSE, "--json", "--seed=1"]
    lines = tenon(*train, "--epochs=150", "--save", model, "--export_dir", export, "--validation_data", later,
                  "--checkpoint_dir", checkpoints).splitlines()
    check.that(json.loads(lines[-1])["accuracy"] == 1 and json.loads(lines[-1])["val_accuracy"] == 1, "texts are learned", lines[-1])
    judged = json.loads(tenon("evaluate", "--model", model, "--data", later, "--json"))
    check.that(judged["accuracy"] == 1, "other data are judged by the model's classes", judged)
    unknown = write(folder, "unknown.csv", "a,label\n10,dog\n30,cow\n")
    failed(check, attempt("evaluate", "--model", model, "--data", unknown), "an unknown class", "INVALID_ARGUMENT", "'cow'",
           "unknown.csv:3")
    failed(check, attempt(*train, "--epochs=1", "--validation_data", unknown), "an unknown class among validation data",
           "INVALID_ARGUMENT", "'cow'")
    with open(os.path.join(export, "assets.extra", "classes.json"), encoding="utf-8") as f:
        check.that(json.load(f) == ["cat", "dog", "zebra"], "classes are exported")
    for source in (model, export):
        printed = tenon("predict", "--model", source, "--data", later).splitlines()
        check.that([line.rsplit(",", 1)[1] for line in printed] == ["dog", "zebra"], "predictions name classes", printed)
    again = tenon(*train, "--epochs=151", "--resume", "--checkpoint_dir", checkpoints, "--data", later).splitlines()
    check.that(json.loads(again[-1])["accuracy"] == 1, "a resumed run keeps the classes", again)
    tenon("export", "--model", model, "--export_dir", os.path.join(folder, "pets", "2"), "--data", later)
    tenon("verify", os.path.join(folder, "pets", "2"))


def features_belong_to_the_model(check, folder):
    names = ["height", "width", "depth"]
    rng = np.random.default_rng(2)
    x = rng.random((60, 3)).round(4)
    y = x.argmax(1)
    # The label stands in the first, the last and a middle column.
    files = {}
    for name, order in (("plain", [*names, "label"]), ("shuffled", ["label", "depth", "height", "width"]),
                        ("more", ["width", "note", "depth", "label", "height"])):
        columns = {**dict(zip(names, x.T)), "label": y, "note": y * 7}
        rows = [",".join(order)] + [",".join(str(columns[one][i]) for one in order) for i in range(60)]
        files[name] = write(folder, f"{name}.csv", "\n".join(rows) + "\n")
    model, export = os.path.join(folder, "columns.keras"), os.path.join(folder, "columns", "1")
    train = ["train", "--model=mlp", "--data", files["plain"], "--optimizer=adam", "--learning_rate=0.02", *SPARSE]
    tenon(*train, "--epochs=60", "--seed=1", "--save", model, "--export_dir", export)
    want = tenon("evaluate", "--model", model, "--data", files["plain"], "--json")
    check.that(json.loads(want)["accuracy"] > 0.9, "largest columns are learned", want)
    for name in ("shuffled", "more"):
        check.that(tenon("evaluate", "--model", model, "--data", files[name], "--json") == want, f"{name} columns are found by name")
        for source in (model, export):
            check.that(tenon("predict", "--model", source, "--data", files[name]) == tenon("predict", "--model", source, "--data", files["plain"]),
                       f"predictions for {name} columns")
    for text, mention in (("height,width,label\n1,2,0\n", "'depth'"), ("height,width,depth\n1,2,0\n", "--label")):
        failed(check, attempt("evaluate", "--model", model, "--data", write(folder, "other.csv", text)), "columns that the model does not know",
               "INVALID_ARGUMENT", mention)
    failed(check, attempt(*train, "--validation_split=0.999"), "no row to train on", "INVALID_ARGUMENT", "validation_split")


def outputs_are_checked_first(check, folder):
    pets = write(folder, "pets.csv", PETS)
    train = ["train", "--model=mlp", "--data", pets, *SPARSE, "--epochs=1"]
    file = write(folder, "file", "x")
    version = os.path.join(folder, "version", "1")
    os.makedirs(version)
    write(version, "saved_model.pb", "x")
    for code, flag, path in (("NOT_FOUND", "save", os.path.join(folder, "nowhere", "m.keras")),
                             ("INVALID_ARGUMENT", "export_dir", os.path.join(file, "1")), ("INVALID_ARGUMENT", "checkpoint_dir", file),
                             ("INVALID_ARGUMENT", "log_dir", os.path.join(file, "logs")), ("ALREADY_EXISTS", "export_dir", version)):
        done = attempt(*train, f"--{flag}={path}")
        failed(check, done, f"--{flag} is checked", code, f"--{flag}")
        check.that("Epoch" not in done.stdout and "loss" not in done.stdout, "before the first step", done.stdout)
    for flag in ("epochs=0", "learning_rate=-0.1", "batch_size=0", "validation_split=1", "seed=-1", "save=m.h5"):
        failed(check, attempt(*train, f"--{flag}"), f"--{flag}", "INVALID_ARGUMENT", "--" + flag.split("=", maxsplit=1)[0], status=2)


def images_without_channels(check, folder):
    cnn = sequential(folder, "cnn.json", [28, 28, 1], ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "activation": "relu"}),
                     ("MaxPooling2D", {}), ("Flatten", {}), ("Dense", {"units": 3, "activation": "softmax"}))
    rng = np.random.default_rng(1)
    data = os.path.join(folder, "images.npz")
    np.savez(data, x=rng.random((40, 28, 28), np.float32), y=rng.integers(0, 3, 40))
    model, export = os.path.join(folder, "cnn.keras"), os.path.join(folder, "cnn", "1")
    tenon("train", "--model", cnn, "--data", data, *SPARSE, "--save", model, "--export_dir", export)
    verified = tenon("verify", export)
    check.that("3 records replayed" in verified, "goldens of three batch sizes", verified)
    outputs = []
    for source in (model, export):
        outputs.append(os.path.join(folder, f"y{len(outputs)}.npy"))
        tenon("predict", "--model", source, "--data", data, "--output", outputs[-1])
    check.close(np.load(outputs[1]), np.load(outputs[0]), "28x28 images for 28x28x1, trained and exported", 1e-6)


def json_alone(check, folder):
    pets = write(folder, "pets.csv", PETS)
    best = os.path.join(folder, "best.keras")
    with subprocess.Popen([TENON, "train", "--model=mlp", "--data", pets, *SPARSE, "--json", "--epochs=20000",
                           f"--callbacks=ModelCheckpoint({best}, monitor=loss, save_best_only=True, verbose=1)"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        first = [running.stdout.readline() for _ in range(3)]
        check.that(running.poll() is None, "lines come while training goes on")
        running.kill()
    check.that([json.loads(line)["epoch"] for line in first] == [1, 2, 3], "nothing but objects goes to stdout", first)


def going_on(check, folder):
    pets = write(folder, "pets.csv", PETS)
    callbacks = ("EarlyStopping(monitor=accuracy, mode=min, patience=3, restore_best_weights=True),"
                 "ReduceLROnPlateau(monitor=loss, mode=max, patience=2, factor=0.5),CSVLogger({0}/log.csv)")
    train = ["train", "--model=mlp", "--data", pets, *SPARSE, "--json", "--optimizer=adam", "--batch_size=4"]

    def run(name, *parts):
        own = os.path.join(folder, name)
        os.makedirs(own)
        for more in parts:
            tenon(*train, "--callbacks", callbacks.format(own), "--checkpoint_dir", os.path.join(own, "c"), "--save",
                  os.path.join(own, "m.keras"), "--resume", *more)
        with zipfile.ZipFile(os.path.join(own, "m.keras")) as archive, open(os.path.join(own, "log.csv"), encoding="utf-8") as log:
            return archive.read("model.weights.h5"), log.read()

    whole, parts = run("whole", ["--epochs=12"]), run("parts", ["--epochs=2"], ["--epochs=3"], ["--epochs=12"])
    check.that(whole[1].count("\n") > 3, "the run lasts some epochs", whole[1])
    check.that(whole[1] == parts[1], "a resumed run writes the same log", (whole[1], parts[1]))
    check.that(whole[0] == parts[0], "and ends with the same weights")
    # BackupAndRestore goes on by itself, and leaves nothing behind.
    backup, saved = os.path.join(folder, "backup"), os.path.join(folder, "backup.keras")
    own = callbacks.split(",CSVLogger")[0]
    for epochs, keeps in ((3, "False"), (12, "True")):
        tenon(*train, "--callbacks", f"{own},BackupAndRestore({backup}, delete_checkpoint={keeps})", "--save", saved, f"--epochs={epochs}")
        check.that(os.path.isdir(backup) == (keeps == "False"), f"a backup after {epochs} epochs", os.listdir(folder))
    with zipfile.ZipFile(saved) as archive:
        check.that(archive.read("model.weights.h5") == whole[0], "and from a backup with the same weights")
    both = attempt(*train, "--callbacks", f"BackupAndRestore({backup})", "--checkpoint_dir", os.path.join(folder, "c"))
    failed(check, both, "two folders of checkpoints", "INVALID_ARGUMENT", "BackupAndRestore", status=2)
    resumed = [*train, "--resume", "--checkpoint_dir", os.path.join(folder, "whole", "c"), "--epochs=20"]
    failed(check, attempt(*resumed, "--seed=7"), "another seed", "FAILED_PRECONDITION", "--seed=0", "7")
    failed(check, attempt(*resumed, "--optimizer=sgd"), "another optimizer", "FAILED_PRECONDITION", "optimizer", "SGD")
    failed(check, attempt(*resumed, "--learning_rate=0.5"), "another rate", "FAILED_PRECONDITION", "optimizer", "0.5")


def kinds_of_labels(check, folder):
    """Labels of every dtype are numbers of classes to a built-in model, and so is the place of the one in a row."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(24, 4)).astype(np.float32), rng.integers(0, 3, 24)

    def history(labels, loss, metrics="accuracy"):
        data = os.path.join(folder, "labels.npz")
        np.savez(data, x=x, y=labels)
        return train("mlp", data, loss=loss, metrics=metrics, optimizer="sgd", epochs=2)

    want = history(y, "sparse_categorical_crossentropy")
    for dtype in (np.uint8, np.float32, np.float16, np.float64):
        check.that(history(y.astype(dtype), "sparse_categorical_crossentropy") == want, f"labels of {np.dtype(dtype)}")
    rows = history(np.eye(3)[y], "categorical_crossentropy")
    check.that(all(abs(a["loss"] - b["loss"]) <= 1e-6 for a, b in zip(rows, want)), "rows with a one", (rows, want))
    check.that(history(y == 1, "sparse_categorical_crossentropy") == history((y == 1).astype(int), "sparse_categorical_crossentropy"), "yes and no")
    own = '[{"module": "keras.metrics", "class_name": "F1Score", "config": {"name": "f1", "average": "macro"}, "registered_name": null}, "AUC"]'
    check.that(set(history(np.eye(3)[y], "categorical_crossentropy", own)[0]) == {"epoch", "loss", "f1", "AUC"}, "metrics as Keras' JSON")
    np.savez(os.path.join(folder, "half.npz"), x=x, y=y + 0.5)
    done = attempt("train", "--model=mlp", "--data", os.path.join(folder, "half.npz"), *SPARSE)
    failed(check, done, "labels that are not whole", "INVALID_ARGUMENT", "numbers of classes")


def divergence(check, folder):
    line = sequential(folder, "line.json", [1], ("Dense", {"units": 1}))
    data = write(folder, "line.csv", "x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(1, 9)))
    model = os.path.join(folder, "line.keras")
    checkpoints = os.path.join(folder, "line")
    train = ["train", "--model", line, "--data", data, "--optimizer=sgd", "--loss=mse", "--epochs=100"]
    # Every epoch is a step that makes the error four times as large.
    done = attempt(*train, "--learning_rate=0.1", "--batch_size=8", "--save", model, "--checkpoint_dir", checkpoints,
                   "--callbacks=TerminateOnNaN")
    failed(check, done, "a diverging run", "FAILED_PRECONDITION", "diverged", model)
    y = [float(row) for row in tenon("predict", "--model", model, "--data", data, "--features=0").splitlines()]
    check.that(np.isfinite(y).all(), "leaves the last good weights", y)
    tenon("export", "--model", line, "--checkpoint_dir", checkpoints, "--export_dir", os.path.join(folder, "line_saved", "1"))
    missing = os.path.join(folder, "none.keras")
    failed(check, attempt(*train, "--learning_rate=1e38", "--batch_size=1", "--save", missing), "one that diverges at once",
           "FAILED_PRECONDITION", "epoch 1")
    check.that(not os.path.exists(missing), "leaves nothing")


def kinds_of_files(check, folder):
    train = ["train", "--model=mlp", *SPARSE, "--epochs=1", "--json"]
    for what, name, text in (("upper case", "DATA.CSV", PETS), ("gzip", "data.csv.gz", gzip.compress(PETS.encode())),
                             ("no suffix", "note", PETS.replace(",", ";"))):
        check.that("loss" in tenon(*train, "--data", write(folder, name, text)), f"data with {what}")
    done = subprocess.run([TENON, *train, "--data=-"], input=PETS, capture_output=True, text=True, check=False)
    check.that(done.returncode == 0 and "loss" in done.stdout, "data from stdin", done.stderr)
    failed(check, attempt(*train, "--data", write(folder, "note.txt", "Only words.\n")), "a text that is no table", "INVALID_ARGUMENT",
           "CSV", "NPZ")
    table = write(folder, "cars.csv", "id,power,maker,weight,kind\n1,70,Fiat,,small\n2,150,Volvo,2,large\n")
    failed(check, attempt(*train, "--data", table), "a text feature", "INVALID_ARGUMENT", "cars.csv:2", "column 3 ('maker')", "--features")
    failed(check, attempt(*train, "--data", table, "--features=power,weight"), "a missing value", "INVALID_ARGUMENT", "column 4", "missing")
    check.that("loss" in tenon(*train, "--data", table, "--features=power,id", "--label=kind"), "columns by name")
    done = attempt(*train, "--data", write(folder, "numbers.csv", "0,1,2\n1,2,0\n3,4,1\n"), env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"})
    check.that(done.returncode == 0 and "header: 0, 1, 2" in done.stderr, "what is taken for a header is said", done.stderr)


def many_rows(check, folder):
    model = os.path.join(folder, "many.keras")
    tenon("train", "--model=mlp", "--data", write(folder, "pets.csv", PETS), *SPARSE, "--save", model)
    data = write(folder, "many.csv", "a\n" + "".join(f"{i % 20}\n" for i in range(3000)))
    printed = tenon("predict", "--model", model, "--data", data).splitlines()
    check.that(len(printed) == 3000, "3,000 rows are printed", len(printed))
    paths = {kind: os.path.join(folder, f"p.{kind}") for kind in ("csv", "json", "npy", "npz")}
    for path in paths.values():
        tenon("predict", "--model", model, "--data", data, "--output", path)
    want = np.load(paths["npy"])
    names = [["cat", "dog", "zebra"][i] for i in want.argmax(axis=1)]
    with open(paths["csv"], encoding="utf-8") as f:
        lines = f.read().splitlines()
    check.that(lines[0] == "cat,dog,zebra,class" and len(lines) == 3001, "a CSV file has a header and all rows", lines[:2])
    check.that([line.split(",")[3] for line in lines[1:]] == names, "with names of classes")
    check.that((np.array([line.split(",")[:3] for line in lines[1:]], np.float32) == want).all(), "and every bit")
    with open(paths["json"], encoding="utf-8") as f:
        found = json.load(f)
    check.that((np.array(found["predictions"], np.float32) == want).all() and found["classes"] == names, "so has a JSON file")
    with np.load(paths["npz"]) as arrays:
        check.that((arrays["output_0"] == want).all() and [name.decode() for name in arrays["classes"]] == names, "so has an NPZ file")
    failed(check, attempt("predict", "--model", model, "--data", data, "--output=p.xls"), "another suffix", "INVALID_ARGUMENT", ".csv",
           status=2)


def shapes_that_do_not_fit(check, folder):
    model = sequential(folder, "five.json", [2], ("Dense", {"units": 5, "name": "scores"}))
    data = os.path.join(folder, "three.npz")
    np.savez(data, x=np.ones((4, 2), np.float32), y=np.ones((4, 3), np.float32))
    failed(check, attempt("train", "--model", model, "--data", data, "--loss=mse"), "targets that do not fit", "INVALID_ARGUMENT",
           "output 'scores'", "mean_squared_error", "[?,5]", "[?,3]")


def data_by_names(check, folder):
    """A model of two inputs answers alike from an NPZ and from CSVs of other forms."""
    def history(name):
        return {"class_name": "__keras_tensor__", "config": {"shape": [None, 1], "dtype": "float32", "keras_history": [name, 0, 0]}}

    def layer(kind, name, config, *inputs):
        tensors = [history(one) for one in inputs]
        nodes = [{"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}]
        return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes if inputs else []}
    layers = [layer("InputLayer", "age", {"batch_shape": [None, 1], "dtype": "float32"}),
              layer("InputLayer", "side", {"batch_shape": [None, 3], "dtype": "float32"}),
              layer("Concatenate", "all", {"axis": -1}, "age", "side"), layer("Dense", "score", {"units": 2}, "all")]
    config = {"name": "two", "layers": layers, "input_layers": [["age", 0, 0], ["side", 0, 0]], "output_layers": [["score", 0, 0]]}
    model = write(folder, "two.json", json.dumps({"class_name": "Functional", "config": config}))
    rows = np.arange(20, dtype=np.float32).reshape(5, 4) / 8
    target = rows.sum(axis=1, keepdims=True) * np.array([1, -1], np.float32)
    arrays, saved = os.path.join(folder, "two.npz"), os.path.join(folder, "two.keras")
    np.savez(arrays, age=rows[:, :1], side=rows[:, 1:], score=target)
    tenon("train", "--model", model, "--data", arrays, "--loss=mse", "--save", saved)
    want = json.loads(tenon("evaluate", "--model", saved, "--data", arrays, "--json"))
    names = ["side_2", "score_1", "age", "id", "side_0", "score_0", "side_1"]
    columns = [rows[:, 3], target[:, 1], rows[:, 0], [f"row {i}" for i in range(5)], rows[:, 1], target[:, 0], rows[:, 2]]

    def text(separator, quote):
        lines = [separator.join(quote + name + quote for name in names)]
        return "\n".join(lines + [separator.join(str(cell) for cell in row) for row in zip(*columns)]) + "\n"
    for name, separator, quote, flags in (("a", ",", "", []), ("b", ";", '"', []), ("c", "|", "", ["--separator=|"])):
        path = write(folder, f"{name}.csv", text(separator, quote))
        check.that(json.loads(tenon("evaluate", "--model", saved, "--data", path, "--json", *flags)) == want, f"named columns by '{separator}'")
    zipped = os.path.join(folder, "z.csv.gz")
    with gzip.open(zipped, "wt") as file:
        file.write(text(",", ""))
    check.that(json.loads(tenon("evaluate", "--model", saved, "--data", zipped, "--json")) == want, "named columns of a gzipped file")
    lacking = write(folder, "lacking.csv", text(",", "").replace("side_1", "side_9"))
    failed(check, attempt("evaluate", "--model", saved, "--data", lacking), "a column that is not there", "INVALID_ARGUMENT", "'side'", "side_9")


def images_and_records(check, folder):
    testdata, model = os.path.join(ROOT, "tenon", "data", "testdata"), os.path.join(folder, "pets.keras")
    images = ["--data", os.path.join(testdata, "images"), "--image_size=8x8", "--color_mode=grayscale"]
    failed(check, attempt("train", "--model=mlp", *images, *SPARSE), "a colour mode that a format lacks", "INVALID_ARGUMENT", "two.bmp")
    images[-1] = "--color_mode=rgb"
    tenon("train", "--model=mlp", *images, *SPARSE, "--save", model)
    judged = json.loads(tenon("evaluate", "--model", model, *images, "--json"))
    check.that(judged["accuracy"] >= 0, "a folder of images is trained on and judged", judged)
    images[1] = os.path.join(testdata, "images", "cat")
    lines = tenon("predict", "--model", model, *images).splitlines()
    check.that(len(lines) == 2 and all(line.split(",")[-1] in ("cat", "dog") for line in lines), "predictions name the folders", lines)
    records = ["--data", os.path.join(testdata, "examples.tfrecord.gz"), "--features=x"]
    tenon("train", "--model=mlp", *records, *SPARSE, "--save", model)
    check.that(len(tenon("predict", "--model", model, *records).splitlines()) == 5, "TFRecords are trained on and predicted from")


def main():
    check = Checks()
    for part in (classes_belong_to_the_model, features_belong_to_the_model, outputs_are_checked_first, images_without_channels, json_alone,
                 going_on, kinds_of_labels, divergence, kinds_of_files, many_rows, shapes_that_do_not_fit, data_by_names,
                 images_and_records):
        with tempfile.TemporaryDirectory() as folder:
            part(check, folder)
    check.done()


if __name__ == "__main__":
    main()
