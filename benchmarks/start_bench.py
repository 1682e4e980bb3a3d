"""How soon the program is there: `tenon --version`, and a server's first answer on the digits' model."""
import http.client
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIGITS = os.path.join(ROOT, "examples", "digits")


def version_ms(tenon):
    start = time.perf_counter()
    subprocess.run([tenon, "--version"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1e3


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_answer_ms(tenon, base, body):
    """From the start of the process to the first predict answered with 200, asking every millisecond."""
    port, rest_port = free_port(), free_port()
    start = time.perf_counter()
    server = subprocess.Popen([tenon, "serve", "--model_name=digits", f"--model_base_path={base}", f"--port={port}",
                               f"--rest_api_port={rest_port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() < start + 30:
            connection = http.client.HTTPConnection("127.0.0.1", rest_port, timeout=30)
            try:
                connection.request("POST", "/v1/models/digits:predict", body)
                if connection.getresponse().status == 200:
                    return (time.perf_counter() - start) * 1e3
            except OSError:
                time.sleep(0.001)
            finally:
                connection.close()
        raise TimeoutError("no answer within 30 s")
    finally:
        server.terminate()
        server.wait()


class Version:
    name = "tenon --version, median ms"

    def measure(self, tenon):
        return statistics.median(version_ms(tenon) for _ in range(30))


class FirstAnswer:
    """A server of the digits' model, trained by the program itself."""
    name = "tenon serve, start to first predict, median ms"

    def measure(self, tenon):
        with tempfile.TemporaryDirectory() as base:
            subprocess.run([tenon, "train", "--model", os.path.join(DIGITS, "cnn.json"), "--data", os.path.join(DIGITS, "train.csv"),
                            "--optimizer", "adam", "--loss", "sparse_categorical_crossentropy", "--epochs", "1", "--export_dir",
                            os.path.join(base, "1")], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(os.path.join(DIGITS, "test.csv"), encoding="utf-8") as f:
                pixels = [int(value) for value in f.readline().split(",")[:64]]
            body = json.dumps({"instances": [pixels]})
            return statistics.median(first_answer_ms(tenon, base, body) for _ in range(10))


def rows():
    return [Version(), FirstAnswer()]


def figures(tenon):
    for row in rows():
        yield {"figure": row.name, "tenon": round(row.measure(tenon), 2)}
