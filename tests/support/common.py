"""What the tests that start the program share: Tenon's command line, the digits, and a tally of checks.

The command line stands here alone, so that the tests read as facts about models. TENON names the program.
"""
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIGITS = os.path.join(ROOT, "examples", "digits")
TENON = os.environ.get("TENON", os.path.join(ROOT, "build", "tenon"))


def tenon(*arguments):
    """Runs `tenon ARGUMENTS`; returns what it printed. A failure ends the test."""
    done = attempt(*arguments)
    if done.returncode:
        sys.exit(f"FAIL {' '.join(done.args)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def attempt(*arguments, **options):
    """Runs `tenon ARGUMENTS`, which may fail; returns the finished process."""
    return subprocess.run([TENON, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=120, check=False, **options)


def train(model, data, **flags):
    """`tenon train --json`; returns one dictionary an epoch: loss and metrics by name."""
    options = [f"--{name}={value}" for name, value in flags.items()]
    lines = tenon("train", "--model", model, "--data", data, "--json", *options).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def predict(model, x):
    """`tenon predict` on a model file or a SavedModel's folder."""
    with tempfile.TemporaryDirectory() as folder:
        data, output = os.path.join(folder, "x.npz"), os.path.join(folder, "y.npy")
        np.savez(data, x=x)
        tenon("predict", "--model", model, "--data", data, "--output", output)
        return np.load(output)


def run_saved_model(folder, signature="serving_default", **inputs):
    """`tenon run`; returns outputs by name."""
    with tempfile.TemporaryDirectory() as work:
        pairs = []
        for name, value in inputs.items():
            path = os.path.join(work, name + ".npy")
            np.save(path, value)
            pairs.append(f"{name}={path}")
        outdir = os.path.join(work, "out")
        tenon("run", "--dir", folder, "--tag_set", "serve", "--signature_def", signature, "--inputs", ";".join(pairs),
              "--outdir", outdir)
        return {name.removesuffix(".npy"): np.load(os.path.join(outdir, name)) for name in os.listdir(outdir)}


def digits(name):
    """Pixels (float32) and labels (int64) of train or test."""
    rows = np.loadtxt(os.path.join(DIGITS, name + ".csv"), delimiter=",", dtype=np.int64)
    return rows[:, :64].astype(np.float32), rows[:, 64]


def train_digits(folder, **flags):
    """Trains the digits' CNN for two epochs and exports it to FOLDER/1."""
    return train(os.path.join(DIGITS, "cnn.json"), os.path.join(DIGITS, "train.csv"), optimizer="adam",
                 loss="sparse_categorical_crossentropy", metrics="accuracy", epochs=2, batch_size=32, seed=1,
                 export_dir=os.path.join(folder, "1"), **flags)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def served(name, base_path, *flags):
    """`tenon serve` with one model; gives (gRPC port, REST port) once it is available, stops it in the end."""
    grpc_port, rest_port = free_port(), free_port()
    server = subprocess.Popen([TENON, "serve", f"--model_name={name}", f"--model_base_path={base_path}",
                               f"--port={grpc_port}", f"--rest_api_port={rest_port}", *flags], stdin=subprocess.DEVNULL)
    try:
        wait_until_available(server, f"http://127.0.0.1:{rest_port}/v1/models/{name}")
        yield grpc_port, rest_port
    finally:
        server.terminate()
        code = server.wait(30)
    if code:
        sys.exit(f"FAIL tenon serve ended with {code} after SIGTERM")


def wait_until_available(server, url):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if server.poll() is not None:
            sys.exit(f"FAIL tenon serve ended with {server.returncode}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["model_version_status"][0]["state"] == "AVAILABLE":
                    return
        time.sleep(0.05)
    sys.exit("FAIL the model was not available within 60 s")


class Checks:
    """Counts checks; `done` ends the test with 1 if any failed."""

    def __init__(self):
        self.failed, self.count = 0, 0

    def that(self, ok, what, found=""):
        self.count += 1
        self.failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}{'' if ok else f': {found}'}", flush=True)

    def close(self, got, want, what, relative_to_largest):
        """|got - want| <= relative_to_largest * max|want|, element by element."""
        got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
        if got.shape != want.shape:
            self.that(False, what, f"shape {got.shape}, want {want.shape}")
            return
        largest = np.max(np.abs(want), initial=1e-30)
        error = np.max(np.abs(got - want), initial=0) / largest
        self.that(error <= relative_to_largest, what, f"off by {error:.3g} of the largest, at most {relative_to_largest:g}")

    def done(self):
        print(f"{self.count - self.failed} of {self.count} checks hold")
        sys.exit(1 if self.failed or not self.count else 0)
