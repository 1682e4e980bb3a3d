#!/usr/bin/env python3
"""What operators do to a server, and what it must go on doing: one process each, judged over HTTP.

    tests/serving/faults.py --tenon build/tenon --cases shared/cases
"""
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time

from support import Server, arguments, expect, summary


def config_of(models):
    entries = "".join(f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }} '
                      for name, path in models.items())
    return f"model_config_list {{ {entries} }}"


def configurations(program, models, folder):
    """A configuration file that says nothing, half, or what cannot be, changes nothing."""
    path = os.path.join(folder, "models.config")

    def write(text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    two, three = (os.path.join(models, m) for m in ("half_plus_two", "half_plus_three"))
    write(config_of({"two": two}))
    with Server(program, f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1") as server:
        expect("a model is served", server.comes_to(lambda: server.predict("two"), 3.0), server)
        write("")
        expect("an empty file is told of", server.comes_to(lambda: "Cannot transition" in server.text(), True), server)
        expect("an empty file changes nothing", server.predict("two") == 3.0)
        write(config_of({"three": three})[:40])
        expect("half a file is told of", server.comes_to(lambda: "Error parsing" in server.text(), True), server)
        expect("half a file changes nothing", server.predict("two") == 3.0)
        write(config_of({"two": two, "ghost": "/nowhere"}))
        expect("a path that is not there is told of",
               server.comes_to(lambda: "Could not find base path" in server.text(), True), server)
        write(config_of({"two": two, "three": three}))
        expect("the next configuration is read all the same",
               server.comes_to(lambda: server.predict("three"), 4.0), server)
        write(config_of({"two": two, "ghost": "/nowhere"}))
        expect("models leave", server.comes_to(lambda: server.predict("three"), 404), server)
        expect("SIGTERM ends it while a model is missing", server.stops() == 0, server)


def directory(program, models, folder):
    """The children of --models_directory that hold a version are models, as they come and go."""
    place = os.path.join(folder, "directory")
    with Server(program, f"--models_directory={place}") as server:
        expect("ports open without the folder", server.comes_to(lambda: server.get("/healthz")[0], 200), server)
        os.makedirs(os.path.join(place, "lost+found"))
        with open(os.path.join(place, "README"), "w", encoding="utf-8") as f:
            f.write("no model")
        shutil.copytree(os.path.join(models, "half_plus_two"), os.path.join(place, "two"))
        expect("a model of a folder is served", server.comes_to(lambda: server.predict("two"), 3.0), server)
        expect("what holds no version is no model", server.get("/readyz")[0] == 200, server)
        shutil.copytree(os.path.join(models, "half_plus_three"), os.path.join(place, ".new"))
        os.rename(os.path.join(place, ".new"), os.path.join(place, "three"))
        expect("one that comes is served", server.comes_to(lambda: server.predict("three"), 4.0), server)
        expect("and only under its last name", ".new" not in server.text(), server)
        shutil.rmtree(os.path.join(place, "two"))
        expect("one that goes is not", server.comes_to(lambda: server.predict("two"), 404), server)
        expect("and is not waited for", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        os.rename(place, place + ".away")
        expect("a folder that goes is told of",
               server.comes_to(lambda: "reloaded: Could not find models directory" in server.text(), True), server)
        expect("and changes nothing", server.predict("three") == 4.0, server)
        expect("it stops", server.stops() == 0, server)
    with Server(program, f"--models_directory={place}", "--file_system_poll_wait_seconds=0") as server:
        expect("a folder that nobody looks for again ends the program", server.process.wait(20) == 1, server)


def half_copied(program, models, folder):
    """A version without its variables does not replace a good one, and does once they have come."""
    base = os.path.join(folder, "copied")
    whole = os.path.join(models, "half_plus_two", "123")
    shutil.copytree(whole, os.path.join(base, "1"))
    with Server(program, f"--model_base_path={base}", "--model_name=m") as server:
        expect("version 1 is served", server.comes_to(lambda: server.predict("m"), 3.0), server)
        os.mkdir(os.path.join(base, "2"))
        shutil.copy(os.path.join(whole, "saved_model.pb"), os.path.join(base, "2"))
        expect("a version without variables is told of",
               server.comes_to(lambda: "variables.index" in server.text(), True), server)
        expect("it is not served", server.get("/v1/models/m/versions/2:predict", {"instances": [1.0]})[0] == 404)
        expect("the good version stays", server.predict("m") == 3.0)
        shutil.copytree(os.path.join(whole, "variables"), os.path.join(base, "2", "variables"))
        state = '"version": "2",\n   "state": "AVAILABLE"'
        expect("it takes over once it is whole",
               server.comes_to(lambda: state in server.get("/v1/models/m")[1], True), server)
        os.mkdir(os.path.join(base, "3"))
        os.mkfifo(os.path.join(base, "3", "saved_model.pb"))
        expect("a pipe in its place is told of",
               server.comes_to(lambda: "3/saved_model.pb' is not a regular file" in server.text(), True), server)
        expect("and is not waited for", server.predict("m") == 3.0 and server.stops() == 0, server)


def starting(program, models, folder):
    """What cannot be is said, and what may still come is waited for with open ports."""
    base = os.path.join(folder, "later")
    with Server(program, f"--model_base_path={base}", "--model_name=m") as server:
        expect("ports open without the model", server.comes_to(lambda: server.get("/healthz")[0], 200), server)
        expect("it is not ready", server.get("/readyz")[0] == 503)
        expect("the log says why", "Could not find base path" in server.text(), server)
        shutil.copytree(os.path.join(models, "half_plus_two"), base)
        expect("the model comes", server.comes_to(lambda: server.predict("m"), 3.0), server)
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200))
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    for flags, text in ((["--model_base_path=hdfs://host/m"], "File system scheme 'hdfs' not implemented"),
                        (["--model_base_path=/nowhere", "--file_system_poll_wait_seconds=0"], "Could not find base path"),
                        (["--model_base_path=/m", "--monitoring_config_file=/nowhere"], "--monitoring_config_file"),
                        ([f"--model_config_file={pipe}"], "is not a regular file"),
                        (["--model_base_path=/m", "--use_alts_credentials"], "ALTS")):
        with Server(program, *flags) as server:
            code = server.process.wait(20)
            expect(f"{flags[-1]} ends the program", code in (1, 2) and text in server.text(), server)
    link = os.path.join(folder, "tensorflow_model_server")
    os.symlink(os.path.abspath(program[0]), link)
    with Server([link], "--model_base_path=hdfs://host/m") as server:
        code = server.process.wait(20)
        expect("under the original's name it fails as the original",
               code == 255 and "Failed to start server. Error: UNIMPLEMENTED" in server.text(), server)


def draining(program, models):
    """After SIGTERM /readyz says no while everything else is answered; then it ends, in time."""
    with Server(program, f"--model_base_path={models}/half_plus_two", "--model_name=m", "--drain_delay_seconds=1",
                "--drain_timeout_seconds=3") as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        expect("/readyz says no", server.comes_to(lambda: server.get("/readyz")[0], 503, 1), server)
        expect("so does the Open Inference Protocol", server.get("/v2/health/ready")[0] == 503, server)
        expect("new connections are still served", server.predict("m") == 3.0, server)
        expect("/healthz stays", server.get("/healthz")[0] == 200, server)
        code = server.process.wait(10)
        took = time.monotonic() - start
        expect(f"it ends after the delay and in time ({took:.2f} s)", code == 0 and 1 <= took < 3, server)
    with Server(program, f"--model_base_path={models}/half_plus_two", "--drain_delay_seconds=31") as server:
        expect("a delay beyond the timeout is refused", server.process.wait(20) == 2, server)


def json_log(program, models):
    """Every line is an object: warnings of flags, failed requests, the last error."""
    with Server(program, f"--model_base_path={models}/half_plus_two", "--model_name=m", "--log_format=json", "--nope",
                "--num_unload_threads=1") as server:
        expect("it serves", server.comes_to(lambda: server.predict("m"), 3.0), server)
        server.get("/v1/models/m:predict", {"instances": ["a"]})
        server.stops()
        lines = [json.loads(line) for line in server.text().splitlines()]
        said = " ".join(line["message"] for line in lines)
        for text in ("unknown argument: --nope", "--num_unload_threads has no effect", "REST POST /v1/models/m:predict failed"):
            expect(f"the log holds '{text}'", text in said, server)
    with Server(program, "--model_base_path=hdfs://b/m", "--log_format=json") as server:
        server.process.wait(20)
        expect("the last error is an object", [json.loads(line)["severity"] for line in server.text().splitlines()][-1] == "error")


def request(path, body=None):
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    return f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def half_closed(port, sent):
    """What is answered to a client that says nothing more once it has sent that."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while piece := connection.recv(1 << 16):
            got += piece
        return got


def resident(server):
    """KiB of memory."""
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def hostile_clients(program, models):
    """Half-closed sockets are answered; connections that lie about cost little; no bytes harm."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    predict = request("/v1/models/m:predict", '{"instances": [2.0]}')
    with Server(program, f"--model_base_path={models}/half_plus_two", "--model_name=m", "--enable_model_control",
                grpc=True) as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        infer = '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [2]}]}'
        examples = '{"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}'
        for what, sent, count in (("predict", predict, 1), ("five predicts", predict * 5, 5),
                                  ("regress", request("/v1/models/m:regress", examples), 1),
                                  ("infer", request("/v2/models/m/infer", infer), 1),
                                  ("index", request("/v2/repository/index", "{}"), 1),
                                  ("load", request("/v2/repository/models/m/load", "{}"), 1),
                                  ("status", request("/v1/models/m"), 1), ("metadata", request("/v2/models/m"), 1),
                                  ("probes", request("/healthz") + request("/v2/health/ready"), 2),
                                  ("half a request", predict[:-3], 0), ("nothing", b"", 0)):
            got = half_closed(server.port, sent)
            expect(f"a client that has closed its side: {what}", got.count(b"HTTP/1.1 200 OK") == count)
        idle = min(2000, most - 100)
        for what, port, hello in (("REST", server.port, b""), ("kept REST", server.port, predict),
                                  ("gRPC", server.grpc_port, preface)):
            before = resident(server)
            clients = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(idle)]
            for client in clients:
                client.sendall(hello)
            if hello:
                for client in clients:
                    client.recv(1 << 12)
            expect("it answers beside them", server.predict("m") == 3.0, server)
            each = (resident(server) - before) / idle
            expect(f"{idle} idle {what} connections take {each:.1f} KiB each", each < 20)
            for client in clients:
                client.close()
        noise = random.Random(1)
        for port in (server.port, server.grpc_port):
            for i in range(150):
                sent = (b"", preface, predict[:60])[i % 3] + noise.randbytes(noise.choice([1, 9, 24, 100, 5000, 70000]))
                with contextlib.suppress(OSError):
                    half_closed(port, sent)
        expect("random bytes do no harm", server.process.poll() is None and server.predict("m") == 3.0, server)
        expect("it stops", server.stops() == 0, server)


def lacking_memory(program, models):
    """A body that memory lacks for costs its own connection, and nothing else."""
    limited = ["prlimit", f"--as={1200 << 20}", *program]
    flags = [f"--model_base_path={models}/half_plus_two", "--model_name=m"]
    length, piece, answer = 1 << 30, bytes(1 << 22), b""
    with Server(limited, *flags) as server:
        expect("it serves", server.comes_to(lambda: server.predict("m"), 3.0), server)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(f"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                for _ in range(length // len(piece)):
                    client.sendall(piece)
            answer = client.recv(1 << 16)
        expect("a body that memory lacks for is refused", answer == b"" or answer.startswith(b"HTTP/1.1 429 "), server)
        expect("and others are answered", server.process.poll() is None and server.predict("m") == 3.0, server)
        expect("it stops", server.stops() == 0, server)


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        configurations(program, models, folder)
        directory(program, models, folder)
        half_copied(program, models, folder)
        starting(program, models, folder)
        draining(program, models)
        json_log(program, models)
        lacking_memory(program, models)
        hostile_clients(program, models)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
