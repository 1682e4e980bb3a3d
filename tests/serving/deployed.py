#!/usr/bin/env python3
"""What deploy/ holds in the hands of those who read it: Kubernetes' schemas, and a Prometheus that scrapes the server and
answers every query of the dashboard.

    tests/serving/deployed.py --tenon build/tenon --cases shared/cases
"""
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

from support import Server, arguments, expect, free_port, summary

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEPLOY = os.path.join(ROOT, "deploy")
KUBERNETES = "1.34"
# Objects of others, whose schemas are not Kubernetes' own, and files that are no objects.
OTHERS = {"ServiceMonitor", "ServingRuntime"}
VALIDATE = """
import sys, json, kubernetes_validate
for line in sys.stdin:
    name, document = json.loads(line)
    try:
        kubernetes_validate.validate(document, sys.argv[1], strict=True)
        print(json.dumps([name, ""]))
    except Exception as error:
        print(json.dumps([name, str(error)[:500]]))
"""

sys.path.insert(0, os.path.join(ROOT, "tools"))
import locked_environment  # noqa: E402


def documents():
    for name in sorted(os.listdir(os.path.join(DEPLOY, "kubernetes"))):
        with open(os.path.join(DEPLOY, "kubernetes", name), encoding="utf-8") as f:
            for document in yaml.safe_load_all(f):
                if "kind" in document and document["kind"] not in OTHERS:
                    yield f"{name}: {document['kind']}", document


def manifests_are_valid():
    python = locked_environment.python_of(os.path.join(HERE, "kubernetes.txt"))

    def verdicts(pairs):
        lines = "".join(json.dumps(pair) + "\n" for pair in pairs)
        out = subprocess.run([python, "-c", VALIDATE, KUBERNETES], input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in out.stdout.splitlines()]

    all_of_them = list(documents())
    for name, error in verdicts(all_of_them):
        expect(f"{name} is as Kubernetes {KUBERNETES} has it {error}", not error)
    expect("the objects are there", len(all_of_them) >= 4)
    damaged = json.loads(json.dumps(dict(all_of_them)["deployment.yaml: Deployment"]))
    damaged["spec"]["template"]["spec"]["containers"][0]["comand"] = ["serve"]
    expect("a field that is not there is found", verdicts([("damaged", damaged)])[0][1])


class Prometheus:
    """With the configuration of deploy/, but for the address that it scrapes and how often."""

    def __init__(self, folder, target):
        with open(os.path.join(DEPLOY, "prometheus", "prometheus.yml"), encoding="utf-8") as f:
            config = yaml.safe_load(f)
        config["global"]["scrape_interval"] = "1s"
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f)
        self.port = free_port()
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except OSError:
            return {}

    def values(self, expression):
        return [float(one["value"][1]) for one in self.ask("query", query=expression).get("result", [])]

    def scrapes(self):
        targets = self.ask("targets").get("activeTargets", [])
        return [target["health"] for target in targets] == ["up"]


def expressions():
    with open(os.path.join(DEPLOY, "grafana", "dashboards", "tenon.json"), encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    for panel in panels:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "10s")
    with open(os.path.join(DEPLOY, "kubernetes", "prometheus-adapter-rules.yaml"), encoding="utf-8") as f:
        yield "series of the autoscaler", re.sub(r'(?<=[{,])(namespace|pod)!=""', r'\1=""',
                                                 yaml.safe_load(f)["rules"]["custom"][0]["seriesQuery"])


def dashboard_has_data(program, models):
    flags = [f"--model_base_path={models}/half_plus_two", "--model_name=m", "--enable_batching",
             f"--monitoring_config_file={DEPLOY}/monitoring.config"]
    with tempfile.TemporaryDirectory() as folder, Server(program, *flags) as server:
        expect("a server starts", server.comes_to(lambda: server.get("/readyz")[0], 200, 30), server)
        with Prometheus(folder, f"127.0.0.1:{server.port}") as prometheus:
            expect("Prometheus scrapes it", server.comes_to(prometheus.scrapes, True, 60), server)
            end = time.monotonic() + 8
            while time.monotonic() < end:
                server.predict("m")
                server.get("/v1/models/m:predict", {"instances": "wrong"})
                time.sleep(0.02)
            for panel, expression in expressions():
                values = prometheus.values(expression)
                expect(f"{panel}: {expression}: {values[:4]}", any(math.isfinite(value) for value in values))
            expect("a query that nothing answers is empty", not prometheus.values("made_up"))


def main():
    program, models = arguments(__doc__)
    manifests_are_valid()
    if shutil.which("prometheus"):
        dashboard_has_data(program, models)
    else:
        print("skipped: prometheus is not installed (apt-get install prometheus)")
    return summary()


if __name__ == "__main__":
    sys.exit(main())
