"""The servers that are measured: how each is started, what it speaks, and what it has used."""
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = os.path.join(HERE, "peers")
sys.path[:0] = [os.path.dirname(HERE), os.path.join(ROOT, "tools")]
import locked_environment  # noqa: E402
from serving_bench import field, free_port, predict_request  # noqa: E402

CLASSIC = "/tensorflow.serving.PredictionService/Predict"
OPEN = "/inference.GRPCInferenceService/ModelInfer"


def infer_request(name, shape, values):
    """An inference.ModelInferRequest with one float tensor, as bytes."""
    dims = b"".join(b"\x18" + bytes([size & 127 | 128, size >> 7]) for size in shape)
    tensor = field(1, name.encode()) + field(2, b"FP32") + dims
    return field(1, b"m") + field(5, tensor) + field(7, struct.pack(f"<{len(values)}f", *values))


def nested(shape, start=0):
    """Numbers that differ, as nested lists."""
    if not shape:
        return start % 17 / 16
    return [nested(shape[1:], start * 31 + i) for i in range(shape[0])]


def flat(values):
    while isinstance(values[0], list):
        values = [value for inner in values for value in inner]
    return values


def shape_of(values):
    sizes = []
    while isinstance(values, list):
        sizes.append(len(values))
        values = values[0]
    return sizes


def environment(name):
    return locked_environment.python_of(os.path.join(PEERS, f"{name}.txt"))


class Server:
    """A server of the SavedModel in `folder`/1, whose input is called `input` and has rows of `shape`, while a `with`
    lasts."""
    protocol = "classic"  # or "open": the Open Inference Protocol, or "own": REST alone

    def __init__(self, folder, input_name, shape):
        self.folder, self.input, self.shape = folder, input_name, shape
        self.rest, self.grpc, self.other = free_port(), free_port(), free_port()
        self.scratch = tempfile.TemporaryDirectory()
        self.log = open(os.path.join(self.scratch.name, "log"), "wb+")

    def command(self):
        raise NotImplementedError

    def variables(self):
        return {}

    def __enter__(self):
        variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **self.variables()}
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, start_new_session=True,
                                        cwd=self.scratch.name, env=variables)
        end = time.monotonic() + 180
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.answer(nested((1, *self.shape)))
                return self
            except OSError:
                time.sleep(0.1)
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")[-3000:]
        self.__exit__()
        raise RuntimeError(f"{type(self).__name__} does not answer: {text}")

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
        self.scratch.cleanup()

    def url(self):
        path = {"classic": "/v1/models/m:predict", "open": "/v2/models/m/infer", "own": "/predict"}[self.protocol]
        return f"http://127.0.0.1:{self.rest}{path}"

    def body(self, rows):
        """Of a REST request: rows are nested lists."""
        if self.protocol != "open":
            return json.dumps({"instances": rows}).encode()
        tensor = {"name": self.input_name(), "shape": shape_of(rows), "datatype": "FP32", "data": flat(rows)}
        return json.dumps({"inputs": [tensor]}).encode()

    def input_name(self):
        return self.input

    def message(self, shape, values):
        """Of a gRPC request, with its path; None where none is spoken."""
        if self.protocol == "own":
            return None
        make, path = (predict_request, CLASSIC) if self.protocol == "classic" else (infer_request, OPEN)
        return make(self.input_name(), shape, values), f"http://127.0.0.1:{self.grpc}{path}"

    def answer(self, rows):
        """The values of the answer to a REST request, flat."""
        request = urllib.request.Request(self.url(), self.body(rows), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        return flat(answer["outputs"][0]["data"] if self.protocol == "open" else answer["predictions"])

    def cpu_seconds(self):
        """Of all processes of the server so far."""
        ticks = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class Tenon(Server):
    program = os.path.join(ROOT, "build", "tenon")

    def command(self):
        return [self.program, "serve", "--model_name=m", f"--model_base_path={self.folder}", f"--port={self.grpc}",
                f"--rest_api_port={self.rest}"]


class TenonOpen(Tenon):
    protocol = "open"


class TensorFlow(Server):
    def command(self):
        return [sys.executable, "-B", os.path.join(PEERS, "tensorflow_front.py"), f"{self.folder}/1", str(self.rest),
                str(self.grpc)]


class Triton(Server):
    protocol = "open"

    def command(self):
        return [environment("triton"), "-B", os.path.join(PEERS, "triton_front.py"), f"{self.folder}/1", str(self.rest),
                str(self.grpc), str(self.other)]

    def input_name(self):
        return "x"


class MLServer(Server):
    protocol = "open"

    def command(self):
        settings = {"name": "m", "implementation": "mlserver_model.SavedModel",
                    "parameters": {"uri": f"{self.folder}/1"}}
        with open(os.path.join(self.scratch.name, "model-settings.json"), "w", encoding="utf-8") as f:
            json.dump(settings, f)
        return [os.path.join(os.path.dirname(environment("mlserver")), "mlserver"), "start", self.scratch.name]

    def variables(self):
        return {"PYTHONPATH": PEERS, "MLSERVER_HTTP_PORT": str(self.rest), "MLSERVER_GRPC_PORT": str(self.grpc),
                "MLSERVER_METRICS_PORT": str(self.other), "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_DEBUG": "false"}


class LitServe(Server):
    protocol = "own"

    def command(self):
        return [environment("litserve"), "-B", os.path.join(PEERS, "litserve_front.py"), f"{self.folder}/1",
                str(self.rest)]


SERVERS = {"tenon": Tenon, "tenon, open protocol": TenonOpen, "tensorflow": TensorFlow, "triton": Triton,
           "mlserver": MLServer, "litserve": LitServe}
