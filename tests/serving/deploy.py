#!/usr/bin/env python3
"""What deploy/ holds parses, and names only flags, ports, paths and metrics that the server has.

    tests/serving/deploy.py --tenon build/tenon --cases shared/cases
"""
import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEPLOY = os.path.join(ROOT, "deploy")
KINDS = {"ConfigMap": "v1", "Deployment": "apps/v1", "Service": "v1", "HorizontalPodAutoscaler": "autoscaling/v2",
         "PodDisruptionBudget": "policy/v1", "ServiceMonitor": "monitoring.coreos.com/v1",
         "ServingRuntime": "serving.kserve.io/v1alpha1"}
FAILURES = []


def expect(what, held):
    if not held:
        print("FAIL", what)
        FAILURES.append(what)


def read(path):
    with open(os.path.join(DEPLOY, path), encoding="utf-8") as f:
        return f.read()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def manifests():
    objects = {}
    for name in sorted(n for n in os.listdir(os.path.join(DEPLOY, "kubernetes")) if n.endswith(".yaml")):
        for document in yaml.safe_load_all(read(f"kubernetes/{name}")):
            if "kind" in document:
                expect(f"{name}: {document['kind']} is {KINDS.get(document['kind'])}",
                       document["apiVersion"] == KINDS.get(document["kind"]))
                objects[document["kind"]] = document
    expect("every kind is there", set(objects) == set(KINDS))
    return objects


def check_references(objects):
    """What one object says of another."""
    pod = objects["Deployment"]["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    container = spec["containers"][0]
    selectors = {"Deployment": objects["Deployment"]["spec"]["selector"]["matchLabels"],
                 "Service": objects["Service"]["spec"]["selector"],
                 "PodDisruptionBudget": objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]}
    for kind, selector in selectors.items():
        expect(f"{kind} selects the pods", selector.items() <= labels.items())
    monitor = objects["ServiceMonitor"]["spec"]
    expect("ServiceMonitor selects the Service",
           monitor["selector"]["matchLabels"].items() <= objects["Service"]["metadata"]["labels"].items())
    service_ports = {port["name"]: port["targetPort"] for port in objects["Service"]["spec"]["ports"]}
    container_ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect("the Service's ports are the container's", set(service_ports.values()) == set(container_ports))
    expect("ServiceMonitor names a port of the Service", monitor["endpoints"][0]["port"] in service_ports)
    arguments = dict(re.findall(r"--(\w+)=(\S+)", " ".join(container["args"])))
    expect("the ports are those of the flags", (arguments["port"], arguments["rest_api_port"]) ==
           (str(container_ports["grpc"]), str(container_ports["http"])))
    expect("the pod outlives the drain", spec["terminationGracePeriodSeconds"] > int(arguments["drain_timeout_seconds"]))
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    expect("the autoscaler scales the Deployment", target["name"] == objects["Deployment"]["metadata"]["name"])
    wanted = objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    rule = yaml.safe_load(read("kubernetes/prometheus-adapter-rules.yaml"))["rules"]["custom"][0]
    expect("the adapter makes the autoscaler's metric", rule["name"]["as"] == wanted)
    volumes = {volume["name"] for volume in spec["volumes"]}
    expect("mounts have volumes", {mount["name"] for mount in container["volumeMounts"]} <= volumes)
    return rule


def series_of(text):
    return set(re.findall(r"(?<![\w:]):tensorflow:[\w:]+", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default="build/tenon")
    parser.add_argument("--cases", default="../shared/cases")
    options = parser.parse_args()

    objects = manifests()
    rule = check_references(objects)
    compose = yaml.safe_load(read("docker-compose.yml"))["services"]
    for service in compose.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            expect(f"{source} is there", not source.startswith("./") or os.path.exists(os.path.join(DEPLOY, source)))
    for path in ("prometheus/prometheus.yml", "grafana/provisioning/datasources/prometheus.yml",
                 "grafana/provisioning/dashboards/tenon.yml"):
        expect(f"{path} parses", isinstance(yaml.safe_load(read(path)), dict))
    dashboard = json.loads(read("grafana/dashboards/tenon.json"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = series_of(" ".join(queries)) | series_of(rule["metricsQuery"]) | series_of(rule["seriesQuery"])
    kept = re.compile(objects["ServiceMonitor"]["spec"]["endpoints"][0]["metricRelabelings"][0]["regex"])
    for name in sorted(named):
        expect(f"the ServiceMonitor keeps {name}", kept.fullmatch(name))

    # The flags of the Deployment and the runtime are the program's, and the page holds what is read from it.
    port = free_port()
    model = os.path.join(os.path.abspath(options.cases), "serving", "models", "half_plus_two")
    changed = {"model_base_path": model, "port": 0, "rest_api_port": port,
               "monitoring_config_file": os.path.join(DEPLOY, "monitoring.config")}
    arguments = []
    for container in (objects["ServingRuntime"]["spec"]["containers"][0],
                      objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]):
        arguments += container["args"][1:]
    arguments = [a for a in arguments if a[2:].split("=")[0] not in changed and "drain" not in a]
    arguments += [f"--{name}={value}" for name, value in changed.items()]
    with subprocess.Popen([os.path.abspath(options.tenon), "serve", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        def get(path, body=None):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=5) as reply:
                    return reply.read().decode()
            except urllib.error.HTTPError as error:
                return f"status {error.code}"
            except OSError:
                return ""
        end = time.monotonic() + 20
        while not get("/readyz") and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        probes = [probe["httpGet"]["path"] for container in
                  (objects["ServingRuntime"]["spec"]["containers"][0],
                   objects["Deployment"]["spec"]["template"]["spec"]["containers"][0])
                  for name, probe in container.items() if name.endswith("Probe")]
        for path in sorted(set(probes)):
            expect(f"{path} is answered", get(path) and not get(path).startswith("status"))
        predicted = get("/v1/models/model:predict", b'{"instances": [1.0, 2.0]}')
        expect(f"the model answers: {predicted}", "predictions" in predicted)
        page = get(objects["ServiceMonitor"]["spec"]["endpoints"][0]["path"])
        process.terminate()
        log = process.communicate(timeout=20)[0]
    expect("every flag is known", "unknown argument" not in log)
    families = dict(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.M))
    for name in sorted(named):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        found = families.get(name) or (families.get(family) == "histogram" and "histogram")
        expect(f"{name} is on the page", found)
    expect("something was checked", len(named) >= 9)
    print(f"{len(named)} series of {len(queries)} queries, {len(FAILURES)} failed")
    if FAILURES:
        print(log[-2000:])
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
