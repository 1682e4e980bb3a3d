#!/usr/bin/env python3
"""A day in the life of a server, in minutes: versions change every 5 seconds, servers are restarted in turn behind haproxy,
clients go on at 60 % of what they reach, and no request fails. One server is never restarted: its memory stays flat.

    tests/serving/soak.py --tenon build/tenon --cases shared/cases [--seconds 600]
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from support import Server, expect, free_port, summary

SWAP_SECONDS = 5
RESTART_SECONDS = 30
DRAIN = ["--drain_delay_seconds=2", "--drain_timeout_seconds=20"]


HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  retries 5
  option redispatch
frontend clients
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 200ms fall 1 rise 1
{servers}
"""


class Balancer:
    """haproxy before the servers on `ports`. It sends a request again only where it got no connection."""

    def __init__(self, folder, ports):
        self.port = free_port()
        path = os.path.join(folder, "haproxy.cfg")
        servers = "\n".join(f"  server s{port} 127.0.0.1:{port}" for port in ports)
        with open(path, "w", encoding="utf-8") as f:
            f.write(HAPROXY.format(port=self.port, servers=servers))
        self.process = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Client(threading.Thread):
    """Asks again and again on a connection that it keeps. A connection that the server has closed between two requests
    is opened again, as every HTTP client does; whatever else happens to a request is a failure."""

    def __init__(self, port, over, pace):
        super().__init__(daemon=True)
        self.port, self.over, self.pace = port, over, pace
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
                self.times.append((start, time.monotonic() - start))
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
            time.sleep(self.pace.pause)


class Pace:
    """How long clients pause after each request: not at all until settle() has seen what they reach."""

    def __init__(self):
        self.pause = 0.0

    def settle(self, clients, seconds, share):
        before = sum(client.asked for client in clients)
        time.sleep(seconds)
        most = (sum(client.asked for client in clients) - before) / seconds
        self.pause = len(clients) / most * (1 / share - 1)
        print(f"{most:.0f} requests a second are the most; {share:.0%} of it from now on")


def resident(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def swap(model, base, number):
    """The next version, by renaming; the one before the last goes."""
    shutil.copytree(model, os.path.join(base, "copying"))
    os.rename(os.path.join(base, "copying"), os.path.join(base, str(number)))
    shutil.rmtree(os.path.join(base, str(number - 2)), ignore_errors=True)


def run(program, model, base, seconds):
    flags = [f"--model_base_path={base}/m", "--model_name=m"]
    ports = [free_port(), free_port()]
    servers = [Server(program, *flags, *DRAIN, port=port) for port in ports]
    steady = Server(program, *flags)
    over, pace = threading.Event(), Pace()
    with Balancer(base, ports) as balancer:
        clients = [Client(port, over, pace) for port in [balancer.port] * 4 + [steady.port] * 2]
        try:
            for server in (*servers, steady):
                expect("a server starts", server.comes_to(lambda server=server: server.get("/readyz")[0], 200, 30), server)
            time.sleep(1)  # until haproxy has seen it
            for client in clients:
                client.start()
            pace.settle(clients, min(5, seconds / 10), 0.6)
            memory, swaps, restarts = drive(program, flags, model, base, servers, steady, seconds)
        finally:
            over.set()
            for client in clients:
                if client.ident:
                    client.join(30)
            for server in (*servers, steady):
                server.__exit__()
    judge(clients, memory, swaps, restarts)


def drive(program, flags, model, base, servers, steady, seconds):
    memory, swaps, restarts = [], [], 0
    start = time.monotonic()
    next_swap, next_restart = start + SWAP_SECONDS, start + min(RESTART_SECONDS, seconds / 3)
    while time.monotonic() < start + seconds:
        time.sleep(0.1)
        now = time.monotonic()
        if now >= next_swap:
            swaps.append(now)
            swap(model, os.path.join(base, "m"), len(swaps) + 1)
            next_swap += SWAP_SECONDS
            memory.append(resident(steady.process))
        if now >= next_restart:
            which = restarts % 2
            servers[which].process.send_signal(signal.SIGTERM)
            expect("a server ends when it is told to", servers[which].process.wait(60) == 0, servers[which])
            servers[which].__exit__()
            servers[which] = Server(program, *flags, *DRAIN, port=servers[which].port)
            restarts += 1
            next_restart += RESTART_SECONDS
    return memory, swaps, restarts


def percentile(times, share):
    ordered = sorted(times) or [0.0]
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def judge(clients, memory, swaps, restarts):
    failures = [failure for client in clients for failure in client.failures]
    times = [each for client in clients for each in client.times]
    near = [took for start, took in times if any(0 <= start - at < 2 for at in swaps)]
    apart = [took for start, took in times if not any(0 <= start - at < 2 for at in swaps)]
    print(f"{len(times)} requests, {len(swaps) + 1} versions, {restarts} restarts, "
          f"{sum(c.reopened for c in clients)} connections opened again; p50 {percentile(near + apart, 0.5):.1f} ms, "
          f"p99 {percentile(apart, 0.99):.1f} ms, {percentile(near, 0.99):.1f} in the two seconds after a version came; "
          "MiB: " + " ".join(f"{m:.0f}" for m in memory))
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
    if not shutil.which("haproxy"):
        print("skipped: haproxy is not installed (apt-get install haproxy)")
        return 0
    with tempfile.TemporaryDirectory() as base:
        shutil.copytree(model, os.path.join(base, "m", "1"))
        run([os.path.abspath(options.tenon), "serve"], model, base, options.seconds)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
