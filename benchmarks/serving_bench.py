"""What a request costs a server: an MLP (784-128-10), one row, asked by h2load over gRPC and REST, and by gRPC's Python client.

Needs nghttp2-client (h2load). Client and server share the machine's processors.
"""
import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request

import keras_models

MODEL = "mlp"
INPUTS = 784
SECONDS = 3
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def predict_request(name, shape, values):
    """A tensorflow.serving.PredictRequest with one float tensor, as bytes."""
    dims = b"".join(field(2, b"\x08" + varint(size)) for size in shape)
    tensor = b"\x08\x01" + field(2, dims) + field(5, struct.pack(f"<{len(values)}f", *values))
    return field(1, field(1, b"m")) + field(2, field(1, name.encode()) + field(2, tensor))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`tenon serve` with the model, while the `with` lasts."""

    def __init__(self, tenon):
        self.grpc, self.rest = free_port(), free_port()
        base, _ = keras_models.cached(MODEL)
        self.process = subprocess.Popen([tenon, "serve", "--model_name=m", f"--model_base_path={base}", f"--port={self.grpc}",
                                         f"--rest_api_port={self.rest}", "--grpc_max_threads=1000"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(3000):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/v1/models/m", timeout=10).read()
                socket.create_connection(("127.0.0.1", self.grpc)).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("the server does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def input_name(self):
        url = f"http://127.0.0.1:{self.rest}/v1/models/m/metadata"
        signatures = json.load(urllib.request.urlopen(url, timeout=10))["metadata"]["signature_def"]["signature_def"]
        return next(iter(signatures["serving_default"]["inputs"]))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as f:
            user, system = f.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def values():
    return [i % 17 / 16 for i in range(INPUTS)]


def h2load(arguments, body):
    """Requests a second; every one must have been answered with 2xx."""
    with tempfile.NamedTemporaryFile() as data:
        data.write(body)
        data.flush()
        output = subprocess.run(["h2load", "-D", str(SECONDS), "--warm-up-time", "1", "-t", "1", "-d", data.name, *arguments],
                                capture_output=True, text=True, check=True).stdout
    done = int(re.search(r"(\d+) succeeded, 0 failed, 0 errored, 0 timeout", output).group(1))
    if int(re.search(r"status codes: (\d+) 2xx", output).group(1)) < done:
        raise RuntimeError(output)
    return done / SECONDS


class Load:
    """Milliseconds a request: of time (the inverse of requests a second), or of the server's CPU."""

    def __init__(self, kind, clients, streams=1):
        self.kind, self.clients, self.streams = kind, clients, streams
        self.name = f"{kind}, {clients} connections" + (f" of {streams} streams" if streams > 1 else "") + ", 1 row of the MLP"

    def ask(self, server):
        if self.kind == "REST":
            return h2load(["--h1", "-c", str(self.clients), f"http://127.0.0.1:{server.rest}/v1/models/m:predict"],
                          json.dumps({"instances": [values()]}).encode())
        request = predict_request(server.input_name(), (1, INPUTS), values())
        return h2load(["-c", str(self.clients), "-m", str(self.streams), "-H", "content-type: application/grpc", "-H", "te: trailers",
                       f"http://127.0.0.1:{server.grpc}{PREDICT}"], b"\0" + struct.pack(">I", len(request)) + request)

    def rate_and_cpu(self, tenon):
        with Server(tenon) as server:
            before = server.cpu_seconds()
            rate = self.ask(server)
            # The second of warm-up counts in the CPU time, so it counts in the requests.
            return rate, (server.cpu_seconds() - before) / (rate * (SECONDS + 1))

    def measure(self, tenon):
        return 1e3 / self.rate_and_cpu(tenon)[0]


class PythonClient(Load):
    """gRPC's Python client, one call at a time."""

    def __init__(self):
        super().__init__("gRPC by Python's client", 1)

    def ask(self, server):
        import grpc
        request = predict_request(server.input_name(), (1, INPUTS), values())
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
            predict = channel.unary_unary(PREDICT)
            calls, warm = 0, time.perf_counter() + 1
            while time.perf_counter() < warm:
                predict(request)
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                predict(request)
                calls += 1
        return calls / SECONDS


def rows():
    return [Load("gRPC", 1), Load("gRPC", 1, 10), Load("gRPC", 16), Load("REST", 1), Load("REST", 16), PythonClient()]


def figures(tenon):
    for row in rows():
        rate, cpu = row.rate_and_cpu(tenon)
        yield {"figure": f"{row.name}, requests a second", "tenon": round(rate)}
        yield {"figure": f"{row.name}, CPU us a request", "tenon": round(cpu * 1e6, 1)}
