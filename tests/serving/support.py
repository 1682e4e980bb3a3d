"""A server of its own for a test, and how its answers are judged."""
import argparse
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FAILURES = []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`program` with flags on REST port `port`, or a free one, and on a free gRPC port where `grpc` says so. `env` is what
    it has in its environment beside what this process has."""

    def __init__(self, program, *flags, grpc=False, env=None, port=0):
        self.port = port or free_port()
        self.grpc_port = free_port() if grpc else 0
        self.log = tempfile.TemporaryFile()
        command = [*program, f"--port={self.grpc_port}", f"--rest_api_port={self.port}", *flags]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**os.environ, **(env or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def get(self, path, body=None):
        """Status and text; status 0 where nobody answers."""
        try:
            data = None if body is None else json.dumps(body).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def predict(self, model, x=2.0):
        status, text = self.get(f"/v1/models/{model}:predict", {"instances": [x]})
        return json.loads(text)["predictions"][0] if status == 200 else status

    def comes_to(self, ask, want, seconds=10):
        end = time.monotonic() + seconds
        got = ask()
        while got != want and time.monotonic() < end and self.process.poll() is None:
            time.sleep(0.02)
            got = ask()
        return got == want

    def stops(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "still running"


def expect(what, held, server=None):
    print("ok  " if held else "FAIL", what)
    if not held:
        FAILURES.append(what)
        if server is not None:
            print(server.text()[-3000:])


def arguments(description):
    """The program as a command, and the folder of the cases' models."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default="build/tenon")
    parser.add_argument("--cases", default="../shared/cases")
    options = parser.parse_args()
    return [os.path.abspath(options.tenon), "serve"], os.path.join(os.path.abspath(options.cases), "serving", "models")


def summary():
    print(f"{len(FAILURES)} failed")
    return 1 if FAILURES else 0
