#!/usr/bin/env python3
"""A day in the life of a server, in minutes: versions change every 5 seconds, servers are restarted in turn behind a
balancer, clients go on, and no request fails. One server is never restarted: its memory stays flat.

    tests/serving/soak.py --tenon build/tenon --cases shared/cases [--seconds 600]
"""
import argparse
import http.client
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from support import Server, expect, summary

SWAP_SECONDS = 5
RESTART_SECONDS = 30
DRAIN = ["--drain_delay_seconds=2", "--drain_timeout_seconds=20"]


class Balancer:
    """Connections go to the backends that say that they are ready, in turn. What it cannot hand over at first it tries
    at the next."""

    def __init__(self, backends):
        self.backends, self.ready, self.turn = backends, [], 0
        self.over = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        for loop in (self.probe, self.accept):
            threading.Thread(target=loop, daemon=True).start()

    def probe(self):
        while not self.over.is_set():
            self.ready = [server for server in self.backends if server is not None and server.get("/readyz")[0] == 200]
            time.sleep(0.2)

    def accept(self):
        while not self.over.is_set():
            client, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def connect(self):
        for _ in range(200):
            ready = self.ready
            self.turn += 1
            if ready:
                try:
                    return socket.create_connection(("127.0.0.1", ready[self.turn % len(ready)].port))
                except OSError:
                    pass
            time.sleep(0.05)
        raise OSError("no backend is ready")

    def serve(self, client):
        with client, self.connect() as backend:
            other = {client: backend, backend: client}
            while True:
                for side in select.select(list(other), [], [])[0]:
                    try:
                        data = side.recv(1 << 16)
                        other[side].sendall(data)
                    except OSError:
                        return
                    if not data:
                        return


class Client(threading.Thread):
    """Asks again and again on a connection that it keeps. A connection that the server has closed between two requests
    is opened again, as every HTTP client does; whatever else happens to a request is a failure."""

    def __init__(self, port, over):
        super().__init__(daemon=True)
        self.port, self.over = port, over
        self.asked, self.reopened, self.times, self.failures = 0, 0, [], []

    def run(self):
        connection = None
        body = json.dumps({"instances": [2.0, 4.0]})
        while not self.over.is_set():
            fresh = connection is None
            try:
                if fresh:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                start = time.monotonic()
                connection.request("POST", "/v1/models/m:predict", body)
                reply = connection.getresponse()
                text = reply.read()
                self.times.append(time.monotonic() - start)
                self.asked += 1
                if reply.status != 200 or json.loads(text) != {"predictions": [3.0, 4.0]}:
                    self.failures.append(f"{reply.status} {text[:200]}")
                if reply.will_close:
                    connection.close()
                    connection = None
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                connection.close()
                connection = None
                if fresh:
                    self.failures.append(repr(error))
                self.reopened += 1
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection = None
            time.sleep(0.003)


def resident(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def swap(model, base, number):
    """The next version, by renaming; the one before the last goes."""
    shutil.copytree(model, os.path.join(base, "copying"))
    os.rename(os.path.join(base, "copying"), os.path.join(base, str(number)))
    shutil.rmtree(os.path.join(base, str(number - 2)), ignore_errors=True)


def run(program, model, base, seconds):
    flags = [f"--model_base_path={base}", "--model_name=m"]
    servers = [Server(program, *flags, *DRAIN) for _ in range(2)]
    steady = Server(program, *flags)
    balancer = Balancer(servers)
    over = threading.Event()
    clients = [Client(balancer.port, over) for _ in range(4)] + [Client(steady.port, over) for _ in range(2)]
    try:
        for server in (*servers, steady):
            expect("a server starts", server.comes_to(lambda server=server: server.get("/readyz")[0], 200, 30), server)
        for client in clients:
            client.start()
        memory, version, restarts = drive(program, flags, model, base, servers, steady, seconds)
    finally:
        over.set()
        for client in clients:
            if client.ident:
                client.join(30)
        balancer.over.set()
        for server in (*servers, steady):
            server.__exit__()
    judge(clients, memory, version, restarts)


def drive(program, flags, model, base, servers, steady, seconds):
    memory, version, restarts = [], 1, 0
    start = time.monotonic()
    next_swap, next_restart = start + SWAP_SECONDS, start + min(RESTART_SECONDS, seconds / 3)
    while time.monotonic() < start + seconds:
        time.sleep(0.1)
        now = time.monotonic()
        if now >= next_swap:
            version += 1
            swap(model, base, version)
            next_swap += SWAP_SECONDS
            memory.append(resident(steady.process))
        if now >= next_restart:
            which = restarts % 2
            servers[which].process.send_signal(signal.SIGTERM)
            expect("a server ends when it is told to", servers[which].process.wait(60) == 0, servers[which])
            servers[which].__exit__()
            servers[which] = Server(program, *flags, *DRAIN)
            restarts += 1
            next_restart += RESTART_SECONDS
    return memory, version, restarts


def judge(clients, memory, version, restarts):
    failures = [failure for client in clients for failure in client.failures]
    times = sorted(t for client in clients for t in client.times)
    print(f"{sum(c.asked for c in clients)} requests, {version} versions, {restarts} restarts, "
          f"{sum(c.reopened for c in clients)} connections opened again; p50 {times[len(times) // 2] * 1000:.1f} ms, "
          f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms; MiB: " + " ".join(f"{m:.0f}" for m in memory))
    for failure in failures[:10]:
        print("   ", failure)
    expect("no request fails", not failures)
    expect("all clients have gone on", min(client.asked for client in clients) > 0)
    middle = len(memory) // 2
    if middle >= 4:
        early, late = max(memory[2:middle]), max(memory[middle:])
        expect(f"memory is flat: at most {early:.1f} MiB, then {late:.1f}", late <= early * 1.05 + 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default="build/tenon")
    parser.add_argument("--cases", default="../shared/cases")
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    model = os.path.join(os.path.abspath(options.cases), "serving", "models", "half_plus_two", "123")
    with tempfile.TemporaryDirectory() as base:
        shutil.copytree(model, os.path.join(base, "1"))
        run([os.path.abspath(options.tenon), "serve"], model, base, options.seconds)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
