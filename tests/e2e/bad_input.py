"""Bad input gives one clear line with a canonical code, and nothing is lost."""
import os
import re
import resource
import shutil
import socket
import tempfile

from common import DIGITS, Checks, attempt, digits, tenon, train_digits

import numpy as np

CODES = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "DATA_LOSS", "OUT_OF_RANGE", "RESOURCE_EXHAUSTED", "UNAVAILABLE",
         "ALREADY_EXISTS", "UNIMPLEMENTED", "PERMISSION_DENIED"}
COMPILE = ["--optimizer=adam", "--loss=sparse_categorical_crossentropy", "--metrics=accuracy", "--batch_size=32", "--seed=1"]


def refused(check, done, what, code=None, mentions=""):
    """One line `error: CODE: message` and exit code 1; a message that names what it must."""
    lines = re.findall(r"^error: ([A-Z_]+): (.+)$", done.stderr, re.M)
    ok = done.returncode == 1 and len(lines) == 1 and lines[0][0] in ({code} if code else CODES) and mentions in lines[0][1]
    check.that(ok, what, f"exit code {done.returncode}, {done.stderr.strip()[-300:]!r}")


def training(data, *more, model=os.path.join(DIGITS, "cnn.json")):
    return ["train", "--model", model, "--data", data, "--epochs=1", *COMPILE, *more]


def flipped_bytes(check, model, folder):
    """Every 97th byte of the index and data of a bundle, and all of the index's footer."""
    x = os.path.join(folder, "x.npy")
    np.save(x, digits("test")[0][:1])
    ask = ["run", "--dir", model, "--tag_set=serve", "--signature_def=serving_default", "--inputs", f"pixels={x}", "--outdir",
           os.path.join(folder, "out"), "--overwrite"]
    tenon(*ask)
    variables = os.path.join(model, "variables")
    for name in sorted(os.listdir(variables)):
        path = os.path.join(variables, name)
        with open(path, "rb") as f:
            good = f.read()
        step = 97 if name.endswith(".index") else len(good) // 30
        places = {*range(0, len(good), step), *(range(len(good) - 48, len(good)) if name.endswith(".index") else ())}
        accepted = []
        for place in sorted(places):
            with open(path, "r+b") as f:
                f.seek(place)
                f.write(bytes([good[place] ^ 0x40]))
            done = attempt(*ask)
            if done.returncode != 1 or not re.search(r"^error: [A-Z_]+: ", done.stderr, re.M):
                accepted.append((place, done.returncode, done.stderr[-200:]))
            with open(path, "r+b") as f:
                f.seek(place)
                f.write(good[place:place + 1])
        check.that(not accepted, f"a flipped byte of {name} is found ({len(places)} places)", accepted[:3])


def truncated_keras(check, keras_file, folder):
    size = os.path.getsize(keras_file)
    for length in (0, 1, 30, size // 2, size - 30, size - 1):
        path = os.path.join(folder, "truncated.keras")
        shutil.copyfile(keras_file, path)
        os.truncate(path, length)
        refused(check, attempt("predict", "--model", path, "--data", os.path.join(DIGITS, "test.csv"), "--output",
                               os.path.join(folder, "y.npy")), f".keras cut to {length} of {size} bytes")


def bad_data(check, folder):
    with open(os.path.join(DIGITS, "train.csv"), encoding="utf-8") as f:
        lines = f.read().splitlines()
    for what, line, mentions in (("a short row", lines[99].split(",", 1)[1], "100"), ("a long row", lines[99] + ",1", "100"),
                                 ("a word", "seven," + lines[99].split(",", 1)[1], "100"),
                                 ("a label out of range", lines[99].rsplit(",", 1)[0] + ",10", "10"),
                                 ("a negative label", lines[99].rsplit(",", 1)[0] + ",-1", "-1")):
        path = os.path.join(folder, "bad.csv")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join([*lines[:99], line, *lines[100:]]) + "\n")
        refused(check, attempt(*training(path)), f"CSV with {what}", "INVALID_ARGUMENT", mentions)
    x, y = digits("train")
    x[700, 3] = np.nan
    path = os.path.join(folder, "nan.npz")
    np.savez(path, x=x, y=y)
    refused(check, attempt(*training(path)), "a loss that turns NaN", mentions="NaN")


def full_disk(check, folder):
    """A write that fails while a checkpoint is saved leaves the one before, which --resume goes on from."""
    checkpoints = os.path.join(folder, "checkpoints")
    resumed = [*training(os.path.join(DIGITS, "train.csv"), "--checkpoint_dir", checkpoints, "--resume")]
    tenon(*resumed)
    before = {name: os.path.getsize(os.path.join(checkpoints, name)) for name in os.listdir(checkpoints)}
    more = [argument if argument != "--epochs=1" else "--epochs=2" for argument in resumed]
    done = attempt(*more, restore_signals=False,  # Python ignores SIGXFSZ, so the write fails instead
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    refused(check, done, "a full disk while checkpointing")
    after = {name: os.path.getsize(os.path.join(checkpoints, name)) for name in os.listdir(checkpoints)}
    check.that(before == after, "the old checkpoint stays, nothing half-written beside it", (before, after))
    done = attempt(*more)
    check.that(done.returncode == 0, "training resumes from it", done.stderr[-300:])


def port_in_use(check, base):
    for flag, other in (("port", "rest_api_port"), ("rest_api_port", "port")):
        with socket.socket() as taken, socket.socket() as free:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            free.bind(("127.0.0.1", 0))
            port, unused = taken.getsockname()[1], free.getsockname()[1]
            free.close()
            refused(check, attempt("serve", "--model_name=digits", f"--model_base_path={base}", f"--{flag}={port}", f"--{other}={unused}"),
                    f"--{flag} in use", mentions=str(port))


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        keras_file = os.path.join(folder, "digits.keras")
        train_digits(folder, save=keras_file)
        flipped_bytes(check, os.path.join(folder, "1"), folder)
        truncated_keras(check, keras_file, folder)
        bad_data(check, folder)
        full_disk(check, folder)
        base = os.path.join(folder, "base")
        os.mkdir(base)
        shutil.move(os.path.join(folder, "1"), base)
        port_in_use(check, base)
    check.done()


if __name__ == "__main__":
    main()
