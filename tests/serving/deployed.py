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
# Each line a name, an object and the schema that its authors publish; null: Kubernetes' own.
VALIDATE = """
import sys, json, jsonschema, kubernetes_validate
for line in sys.stdin:
    name, document, schema = json.loads(line)
    try:
        if schema is None:
            kubernetes_validate.validate(document, sys.argv[1], strict=True)
        else:
            jsonschema.validate(document, schema)
        print(json.dumps([name, ""]))
    except Exception as error:
        print(json.dumps([name, str(error)[:500]]))
"""

sys.path.insert(0, os.path.join(ROOT, "tools"))
import locked_environment  # noqa: E402


def documents():
    """Name and object."""
    kubernetes = os.path.join(DEPLOY, "kubernetes")
    for folder in (kubernetes, os.path.join(kubernetes, "train")):
        for name in sorted(name for name in os.listdir(folder) if name.endswith(".yaml")):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                for document in yaml.safe_load_all(f):
                    if "kind" in document:
                        yield f"{name}: {document['kind']}", document


def closed(schema):
    """The schema as an API server takes it with strict validation of fields: what is not named there is an error."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if "properties" in result and not result.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    return result


def published_schemas():
    """Kind to API version and schema, of the resources that others define."""
    schemas = {}
    for name in sorted(name for name in os.listdir(os.path.join(HERE, "schemas")) if name.endswith(".yaml")):
        with open(os.path.join(HERE, "schemas", name), encoding="utf-8") as f:
            definition = yaml.safe_load(f)
        schemas[definition["kind"]] = definition["apiVersion"], closed(definition["openAPIV3Schema"])
    return schemas


def within(kind, document):
    """Kubernetes' own objects in one of others."""
    def pod(spec):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}

    spec = document["spec"]
    if kind == "ServingRuntime":
        yield pod({key: spec[key] for key in ("containers", "volumes", "affinity", "tolerations") if key in spec})
    if kind == "TFJob":
        for replica in spec["tfReplicaSpecs"].values():
            yield pod(replica["template"]["spec"])
    if kind == "TrainingRuntime":
        for job in spec["template"]["spec"]["replicatedJobs"]:
            yield {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": job["template"]["spec"]}


def manifests_are_valid():
    python = locked_environment.python_of(os.path.join(HERE, "kubernetes.txt"))
    schemas = published_schemas()

    def verdicts(triples):
        lines = "".join(json.dumps(triple) + "\n" for triple in triples)
        out = subprocess.run([python, "-c", VALIDATE, KUBERNETES], input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in out.stdout.splitlines()]

    own, others, inner = [], [], []
    for name, document in documents():
        kind = document["kind"]
        version, schema = schemas.get(kind, (document["apiVersion"], None))
        expect(f"{name} is of {version}", document["apiVersion"] == version)
        (own if schema is None else others).append((name, document, schema))
        inner += [(f"{name}: {part['kind']}", part, None) for part in (within(kind, document) if schema else ())]
    for name, error in verdicts(own + others + inner):
        expect(f"{name} is as Kubernetes {KUBERNETES}, or its authors, have it {error}", not error)
    expect("the objects are there", len(own) >= 5 and {document["kind"] for _, document, _ in others} == set(schemas)
           and len(inner) >= 5)
    everything = {name: (document, schema) for name, document, schema in own + others + inner}
    for name, path, value in (
            ("deployment.yaml: Deployment", ("spec", "template", "spec", "containers", 0, "comand"), ["serve"]),
            ("servicemonitor.yaml: ServiceMonitor", ("spec", "endpoints", 0, "interval"), "15 seconds"),
            ("servicemonitor.yaml: ServiceMonitor", ("spec", "endpoints", 0, "metricRelabeling"), []),
            ("servicemonitor.yaml: ServiceMonitor", ("spec", "endpoints", 0, "metricRelabelings", 0, "action"), "kept"),
            ("servingruntime.yaml: ServingRuntime", ("spec", "supportedModelFormats", 0, "version"), 2),
            ("servingruntime.yaml: ServingRuntime", ("spec", "containers"), None),
            ("servingruntime.yaml: ServingRuntime: Pod", ("spec", "containers", 0, "ports", 0, "containerPort"), "8080"),
            ("trainjob.yaml: TrainJob", ("spec", "trainer", "numNodes"), "four"),
            ("trainjob.yaml: TrainJob", ("spec", "trainer", "resourcesPerNode", "limits", "memory"), "much"),
            ("trainjob.yaml: TrainingRuntime", ("spec", "template", "spec", "failurePolicy", "restarts"), 3),
            ("trainjob.yaml: TrainingRuntime: Job", ("spec", "template", "spec", "restartPolicy"), 1),
            ("tfjob.yaml: TFJob", ("spec", "tfReplicaSpecs", "Worker", "replica"), 3)):
        document, schema = json.loads(json.dumps(everything[name]))
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        expect(f"{name} with {path[-1]}: {value} is refused", verdicts([("damaged", document, schema)])[0][1])


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
