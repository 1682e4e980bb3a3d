#!/usr/bin/env python3
"""Servers side by side in one run: requests a second, latency and CPU, by wrk (REST) and h2load (gRPC, and at a rate).

    .venv/bin/python benchmarks/serving/run.py [--models mlp,mnist_cnn,resnet50] [--servers tenon+tensorflow+...]
        [--rows 1,32] [--connections 1,16,64] [--rounds 5] [--seconds 3] [--out FILE]

Needs wrk and nghttp2-client. Each peer is installed at first use into build/environments, from its lock beside it in
peers/. Every server is asked once and its answer compared with TensorFlow's; then all are measured in turns, another one
first in each round, while the others wait. Medians of the rounds, and how many times the peer's requests a second Tenon
answers, stand in one table at the end; with --out every measurement is kept, a JSON line each. "at 80 %": h2load sends at
80 % of the median that the same server reached with 16 connections.
"""
import argparse
import contextlib
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import keras_models  # noqa: E402
import servers  # noqa: E402

SHAPES = {"mlp": (784,), "mnist_cnn": (28, 28, 1), "resnet50": (224, 224, 3)}
POST = """
local file = io.open("%s", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/json"
"""


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def wrk(url, body, connections, seconds, folder):
    """Requests, and milliseconds of the median and the 99th percentile."""
    script, data = os.path.join(folder, "post.lua"), os.path.join(folder, "body")
    with open(data, "wb") as f:
        f.write(body)
    with open(script, "w", encoding="utf-8") as f:
        f.write(POST % data)
    out = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", script, url])
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)", out, re.M))
    return int(re.search(r"(\d+) requests in", out)[1]), milliseconds(latency["50"]), milliseconds(latency["99"])


def h2load(arguments, body, seconds, folder):
    """As wrk()."""
    data, log = os.path.join(folder, "data"), os.path.join(folder, "log")
    with open(data, "wb") as f:
        f.write(body)
    with contextlib.suppress(FileNotFoundError):
        os.remove(log)
    out = run(["h2load", "-D", str(seconds), "-t1", "-d", data, "--log-file", log, *arguments])
    done, failed = map(int, re.search(r"(\d+) succeeded, (\d+) failed", out).groups())
    if failed or int(re.search(r"status codes: (\d+) 2xx", out)[1]) < done:
        raise RuntimeError(out)
    with open(log, encoding="utf-8") as f:
        times = sorted(int(line.split()[2]) / 1000 for line in f)
    return done, times[len(times) // 2], times[len(times) * 99 // 100]


class Cell:
    """What is measured of each server that speaks the protocol."""

    def __init__(self, model, kind, rows, connections, share=None):
        self.model, self.kind, self.rows, self.connections, self.share = model, kind, rows, connections, share
        self.results = {}  # server to measurements

    def name(self):
        at = ", at 80 %" if self.share else ""
        rows = f"{self.rows} row{'s' if self.rows > 1 else ''}"
        return f"{self.model}, {self.kind}, {rows}, {self.connections} connections{at}"

    def measure(self, name, server, options, folder, capacity):
        x = servers.nested((self.rows, *SHAPES[self.model]))
        rate = []
        if self.share:
            if name not in capacity:
                return None
            rate = [f"--rps={max(self.share * capacity[name] / self.connections, 0.1):.3f}"]
        before = server.cpu_seconds()
        if self.kind == "gRPC":
            message = server.message(servers.shape_of(x), servers.flat(x))
            if message is None:
                return None
            body = b"\0" + struct.pack(">I", len(message[0])) + message[0]
            done = h2load([*rate, f"-c{self.connections}", "-m1", "-H", "content-type: application/grpc",
                           "-H", "te: trailers", message[1]], body, options.seconds, folder)
        elif rate:
            done = h2load([*rate, "--h1", f"-c{self.connections}", "-H", "content-type: application/json",
                           server.url()], server.body(x), options.seconds, folder)
        else:
            done = wrk(server.url(), server.body(x), self.connections, options.seconds, folder)
        cpu = server.cpu_seconds() - before
        figures = {"requests_s": done[0] / options.seconds, "p50_ms": done[1], "p99_ms": done[2],
                   "cpu_us": cpu / max(done[0], 1) * 1e6}
        self.results.setdefault(name, []).append(figures)
        return figures

    def median(self, name, figure):
        return statistics.median(each[figure] for each in self.results[name])


def check_answers(model, running):
    """Every server gives TensorFlow's answer to a batch."""
    import numpy as np
    import tensorflow as tf
    x = servers.nested((2, *SHAPES[model]))
    call = tf.saved_model.load(os.path.join(keras_models.cached(model)[0], "1")).signatures["serving_default"]
    (key, _), = call.structured_input_signature[1].items()
    want = next(iter(call(**{key: tf.constant(np.array(x, np.float32))}).values())).numpy().ravel()
    for name, server in running.items():
        np.testing.assert_allclose(server.answer(x), want, rtol=1e-3, atol=1e-5, err_msg=name)


def input_of(model):
    import tensorflow as tf
    call = tf.saved_model.load(os.path.join(keras_models.cached(model)[0], "1")).signatures["serving_default"]
    return next(iter(call.structured_input_signature[1]))


def measure_model(model, options, keep):
    folder, cells = keras_models.cached(model)[0], []
    for kind in ("REST", "gRPC"):
        for rows in options.rows:
            cells += [Cell(model, kind, rows, connections) for connections in options.connections]
            cells.append(Cell(model, kind, rows, 16, 0.8))
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        made = {name: servers.SERVERS[name](folder, input_of(model), SHAPES[model]) for name in options.servers}
        running = {name: stack.enter_context(server) for name, server in made.items()}
        check_answers(model, running)
        for cell in cells:
            peak = [other for other in cells if (other.kind, other.rows, other.connections, other.share)
                    == (cell.kind, cell.rows, 16, None)]
            capacity = {name: peak[0].median(name, "requests_s") for name in peak[0].results} if peak else {}
            for turn in range(options.rounds):
                order = list(running)[turn % len(running):] + list(running)[:turn % len(running)]
                for name in order:
                    try:
                        figures = cell.measure(name, running[name], options, scratch, capacity)
                    except RuntimeError as error:
                        figures = {"error": str(error)[-300:]}
                    if figures:
                        keep({"figure": cell.name(), "server": name, "round": turn, **figures})
    return cells


def table(cells):
    """Medians, a line a cell and server; Tenon is measured by the same protocol as the server that it is compared with."""
    print("\n| | server | requests/s | p50 ms | p99 ms | CPU us a request | Tenon is |")
    print("|---|---|---|---|---|---|---|")
    for cell in cells:
        for name in cell.results:
            base = "tenon, open protocol" if servers.SERVERS[name].protocol == "open" else "tenon"
            rate = cell.median(name, "requests_s")
            times = f"{cell.median(base, 'requests_s') / rate:.1f} times" if base in cell.results and base != name else ""
            print(f"| {cell.name()} | {name} | {rate:.0f} | {cell.median(name, 'p50_ms'):.2f} "
                  f"| {cell.median(name, 'p99_ms'):.2f} | {cell.median(name, 'cpu_us'):.0f} | {times} |")


def main():
    def names(text):
        return text.split(",")

    def numbers(text):
        return [int(number) for number in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default=servers.Tenon.program)
    parser.add_argument("--models", type=names, default=list(SHAPES))
    parser.add_argument("--servers", type=lambda text: text.split("+"), default=list(servers.SERVERS),
                        help="separated by +; all are %(default)s")
    parser.add_argument("--rows", type=numbers, default=[1, 32])
    parser.add_argument("--connections", type=numbers, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--out")
    options = parser.parse_args()
    servers.Tenon.program = os.path.abspath(options.tenon)
    cells = []
    with open(options.out or os.devnull, "w", encoding="utf-8") as out:
        def keep(line):
            text = json.dumps({key: round(value, 4) if isinstance(value, float) else value
                               for key, value in line.items()})
            print(text, flush=True)
            print(text, file=out, flush=True)
        for model in options.models:
            cells += measure_model(model, options, keep)
    table(cells)


if __name__ == "__main__":
    main()
