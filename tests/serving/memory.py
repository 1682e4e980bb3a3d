#!/usr/bin/env python3
"""Several models under --memory_limit: what can be made again makes room, what cannot be had is refused.

    PYTHONPATH=build/python tests/serving/memory.py --tenon build/tenon --cases shared/cases
"""
import json
import os
import re
import shutil
import sys
import tempfile
import threading

import numpy as np
import tenon.tf as tf

from support import Server, arguments, expect, summary

MIB = 1 << 20
WEIGHTS = 16 * MIB  # of each model, in files; packed copies come to it
MODELS = 4


def make_model(folder, value):
    """Sums of products with a matrix of WEIGHTS bytes."""
    model = tf.Module()
    model.w = tf.Variable(np.full((1024, WEIGHTS // 4096), value, np.float32))
    spec = tf.TensorSpec([None, 1024], tf.float32, name="x")
    plain = tf.function(lambda x: {"y": tf.reduce_sum(tf.matmul(x, model.w), axis=1)}, input_signature=[spec])
    tf.saved_model.save(model, folder, signatures={"serving_default": plain})


def metric(server, name, **labels):
    page = server.get("/monitoring/prometheus/metrics")[1]
    for found, value in re.findall(rf"^:tensorflow:serving:{name}\{{(.*)\}} (\S+)$", page, re.M):
        if dict(re.findall(r'(\w+)="([^"]*)"', found)) == labels:
            return int(float(value))
    return None


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def ask(server, model, rows, signature="serving_default"):
    """The first answer, or the status."""
    body = {"signature_name": signature, "instances": [[1.0] * 1024] * rows}
    status, text = server.get(f"/v1/models/{model}:predict", body)
    return json.loads(text)["predictions"][0] if status == 200 else status


def answers(server, model):
    """Does it, at once or when a client that was told to come again has?"""
    return server.comes_to(lambda: isinstance(ask(server, model, 1), float), True)


class Client(threading.Thread):
    """Asks all models in turn, with more and fewer rows: every shape wants arenas and Bindings of its own."""

    def __init__(self, server, number):
        super().__init__()
        self.server, self.number, self.wrong, self.answered = server, number, [], 0

    def run(self):
        for i in range(24):
            model = (i + self.number) % MODELS
            got = ask(self.server, f"m{model}", 1 + (61 * i + 37 * self.number) % 400)
            if got == 1024.0 * (model + 1) * (WEIGHTS // 4096) or got == 429:
                self.answered += got != 429
            else:
                self.wrong.append((model, got))


def config_of(folder, names):
    lines = "".join(f'config {{ name: "{n}" base_path: "{folder}/{n}" model_platform: "tensorflow" '
                    "model_version_policy { all {} } }\n" for n in names)
    path = os.path.join(folder, "models.config")
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(f"model_config_list {{\n{lines}}}\n")
    os.rename(path + ".new", path)
    return path


def under_load(program, folder, limit):
    monitoring = os.path.join(folder, "monitoring.config")
    with open(monitoring, "w", encoding="utf-8") as f:
        f.write("prometheus_config { enable: true }")
    names = [f"m{i}" for i in range(MODELS)]
    flags = [f"--model_config_file={config_of(folder, names)}", f"--memory_limit={limit}",
             "--model_config_file_poll_wait_seconds=1", f"--monitoring_config_file={monitoring}"]
    with Server(program, *flags) as server:
        expect("several models start under a limit", server.comes_to(lambda: server.get("/readyz")[0], 200, 60), server)
        clients = [Client(server, number) for number in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        wrong = [each for client in clients for each in client.wrong]
        expect(f"requests are answered, rightly, or refused: {wrong[:5]}", not wrong, server)
        expect("most are answered", sum(client.answered for client in clients) > 48, server)
        expect("there is a limit among the metrics", metric(server, "memory_limit_bytes") == limit)
        expect("memory comes to the limit or less",
               server.comes_to(lambda: 0 < metric(server, "memory_used_bytes") <= limit, True), server)
        evicted = {what: metric(server, "memory_evictions", what=what)
                   for what in ("arenas", "plan", "version")}
        expect(f"what can be made again was given back: {evicted}", evicted["arenas"] > 0, server)
        expect("no version went", evicted["version"] == 0, server)
        peak = resident(server)
        expect(f"the process took {peak / MIB:.0f} MiB, {limit / MIB:.0f} and what a program needs",
               peak < limit + 80 * MIB)
        too_large_a_model(server, folder, names)
        versions(server, folder)
        expect("it ends", server.stops() == 0, server)


def too_large_a_model(server, folder, names):
    os.makedirs(os.path.join(folder, "large", "1", "variables"))
    shutil.copy(os.path.join(folder, "m0", "1", "saved_model.pb"), os.path.join(folder, "large", "1"))
    with open(os.path.join(folder, "large", "1", "variables", "variables.data-00000-of-00001"), "wb") as f:
        f.truncate(1 << 40)
    config_of(folder, [*names, "large"])
    expect("a model that is larger than the limit is refused",
           server.comes_to(lambda: "RESOURCE_EXHAUSTED" in server.get("/v1/models/large")[1], True), server)
    expect("requests for it are answered as by TensorFlow Serving", ask(server, "large", 1) == 404, server)
    expect("that is counted", metric(server, "memory_refusals", what="load") >= 1, server)
    expect("the others go on", all(answers(server, name) for name in names), server)
    config_of(folder, names)


def too_large_a_request(program, folder):
    flags = [f"--model_base_path={folder}/m0", "--model_name=m0", f"--memory_limit={72 * MIB}"]
    with Server(program, *flags) as server:
        expect("a server starts", server.comes_to(lambda: ask(server, "m0", 1), 1024.0 * (WEIGHTS // 4096)), server)
        status, text = server.get("/v1/models/m0:predict", {"instances": [[0.5] * 1024] * 4000})
        expect(f"a request that is too large is refused: {status} {text[:120]}", status == 429, server)
        expect("and the next is answered", answers(server, "m0"), server)
        expect("it ends", server.stops() == 0, server)


def versions(server, folder):
    """More versions than there is room for: the newest of each model and those in use stay."""
    for number in range(2, 9):
        shutil.copytree(os.path.join(folder, "m1", "1"), os.path.join(folder, "m1", "copying"))
        os.rename(os.path.join(folder, "m1", "copying"), os.path.join(folder, "m1", str(number)))

        def state(number=number):
            listed = json.loads(server.get(f"/v1/models/m1/versions/{number}")[1]).get("model_version_status", [{}])
            return listed[0].get("state")
        expect(f"version {number} is served", server.comes_to(state, "AVAILABLE", 30), server)
    expect("older versions went", metric(server, "memory_evictions", what="version") > 0, server)
    status, text = server.get("/v1/models/m1/versions/1:predict", {"instances": [[1.0] * 1024]})
    expect(f"one of them is not found: {text}", status == 404 and "Specific(m1, 1)" in text, server)
    why = server.get("/v1/models/m1/versions/1")[1]
    expect(f"its status says why: {why}", "RESOURCE_EXHAUSTED" in why and "--memory_limit" in why, server)
    expect("the newest answers", answers(server, "m1"), server)
    expect("the other models still do", all(answers(server, name) for name in ("m0", "m2", "m3")), server)


def main():
    program, _ = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(MODELS):
            make_model(os.path.join(folder, f"m{i}", "1"), i + 1)
        under_load(program, folder, 2 * MODELS * WEIGHTS + 12 * MIB)
        too_large_a_request(program, folder)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
