#!/usr/bin/env python3
"""What is done with traffic beside answering it: request logs, their replay, and shadows.

    tests/serving/traffic.py --tenon build/tenon --cases shared/cases
"""
import glob
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

from support import Server, arguments, expect, summary

MONITORING = "prometheus_config { enable: true }"


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def metric(server, name, **labels):
    """The value of one series of the page; None where there is none."""
    page = server.get("/monitoring/prometheus/metrics")[1]
    for series, value in re.findall(rf"^:tensorflow:serving:{name}{{(.*)}} (\S+)$", page, re.M):
        if dict(re.findall(r'(\w+)="([^"]*)"', series)) == {k: str(v) for k, v in labels.items()}:
            return float(value)
    return None


def verify(program, *words):
    done = subprocess.run([program[0], "verify", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout


def ask(server, model, count, version=""):
    """Whether each of `count` predictions is answered, and right for y = x / 2 + 2."""
    right = 0
    for i in range(count):
        status, text = server.get(f"/v1/models/{model}{version}:predict", {"instances": [float(i)]})
        right += status == 200 and f"[{i / 2 + 2}" in text
    return right == count


def request_log(program, models, folder, monitoring):
    logs = os.path.join(folder, "logs")
    config = write(os.path.join(folder, "models.config"), f"""model_config_list {{ config {{
        name: "m" base_path: "{models}/half_plus_two" model_platform: "tensorflow"
        logging_config {{ log_collector_config {{ type: "file" filename_prefix: "{logs}/requests" }}
                          sampling_config {{ sampling_rate: 1 }} }} }} }}""")
    with Server(program, f"--model_config_file={config}", monitoring) as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        expect("predictions are answered", ask(server, "m", 20), server)
        examples = {"examples": [{"x": 2.0}, {"x": 6.0}], "signature_name": "regress_x_to_y"}
        expect("a regression is answered", server.get("/v1/models/m:regress", examples)[0] == 200, server)
        examples["signature_name"] = "classify_x_to_y"
        expect("a classification is answered", server.get("/v1/models/m:classify", examples)[0] == 200, server)
        server.get("/v1/models/m:predict", {"instances": ["no number"]})
        expect("all are logged and counted", server.comes_to(
            lambda: metric(server, "request_log_count", model_name="m", status_code="OK"), 22), server)
        expect("it stops", server.stops() == 0)
    code, text = verify(program, f"{models}/half_plus_two", "--replay", f"{logs}/requests")
    expect(f"the log is replayed: {text}", code == 0 and "20 records, 0 missed" in text and "22 records replayed" in text)
    code, text = verify(program, f"{models}/half_plus_three", "--replay", logs)
    expect(f"another model drifts: {text[-300:]}", code == 1 and "20 missed, largest drift 1" in text)
    code, text = verify(program, f"{models}/half_plus_three", "--json", "--replay", *glob.glob(f"{logs}/*"))
    expect("and in JSON", code == 1 and text.count('"passed":false') == 22)
    code, text = verify(program, f"{models}/half_plus_two", "--replay", f"{logs}/nothing")
    expect("a log that is not there is told of", code == 1 and "nothing" in text)


def sampled_and_rotated(program, models, folder, monitoring):
    prefix = os.path.join(folder, "rotated", "r")
    flags = (f"--model_base_path={models}/half_plus_two", "--model_name=m", monitoring, f"--request_log_prefix={prefix}")
    with Server(program, *flags, "--request_log_file_bytes=2000", "--request_log_files=3",
                "--request_log_sampling_rate=0.5") as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        expect("predictions are answered", ask(server, "m", 200), server)
        server.stops()
    files = sorted(glob.glob(prefix + "*"))
    expect(f"three files are kept: {files}", len(files) == 3)
    expect("of that size", all(os.path.getsize(f) <= 2000 for f in files))
    with Server(program, *flags, "--request_log_queue_bytes=1") as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        expect("without room, predictions are answered", ask(server, "m", 10), server)
        dropped = metric(server, "request_log_count", model_name="m", status_code="RESOURCE_EXHAUSTED")
        expect("and what is dropped is counted", dropped == 10, server)
    for flag in ("sampling_rate=2", "files=0", "queue_bytes=-1"):
        with Server(program, flags[0], f"--request_log_{flag}") as server:
            expect(f"{flag} is refused", server.process.wait(20) == 2, server)


def removed(program, models, folder, monitoring):
    """Who removes a log file wants its space: the server lets go of it, and goes on in another one."""
    prefix = os.path.join(folder, "removed", "r")
    with Server(program, f"--model_base_path={models}/half_plus_two", "--model_name=m", monitoring,
                f"--request_log_prefix={prefix}") as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        for round_ in (1, 2):
            expect("predictions are answered", ask(server, "m", 5), server)
            expect("and logged", server.comes_to(
                lambda count=5 * round_: metric(server, "request_log_count", model_name="m", status_code="OK") == count, True),
                   server)
            files = glob.glob(prefix + "*")
            expect(f"in a file that is there: {files}", len(files) == 1, server)
            for path in files:
                os.remove(path)
        held = [os.readlink(f"/proc/{server.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{server.process.pid}/fd")]
        expect("the first is let go of", sum("removed/r" in path for path in held) == 1, server)


def full_disk(program, models, folder, monitoring):
    """A limit on the size of files stands in for a full disk: writing fails half way through a record."""
    prefix = os.path.join(folder, "full", "f")
    limited = ["prlimit", "--fsize=1000", *program] if shutil.which("prlimit") else None
    if limited is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with Server(limited or program, f"--model_base_path={models}/half_plus_two", "--model_name=m", monitoring,
                f"--request_log_prefix={prefix}") as server:
        expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200))
        expect("with a full disk, predictions are answered", ask(server, "m", 20))
        counts = lambda: [metric(server, "request_log_count", model_name="m", status_code=code) or 0
                          for code in ("OK", "RESOURCE_EXHAUSTED")]
        expect("what is not written is counted", server.comes_to(lambda: sum(counts()), 20))
        written = counts()[0]
        server.stops()
    code, text = verify(program, f"{models}/half_plus_two", "--replay", prefix)
    expect(f"what was written is whole: {written}, {text}", 0 < written < 20 and code == 0
           and f"{int(written)} records replayed" in text and "ends within" not in text)


def shadows(program, models, folder, monitoring):
    base = os.path.join(folder, "versions")
    for version, model in ((1, "half_plus_two"), (2, "half_plus_three"), (3, "half_plus_two")):
        shutil.copytree(os.path.join(models, model, "123"), os.path.join(base, str(version)))
    config = write(os.path.join(folder, "shadow.config"), f"""model_config_list {{ config {{
        name: "m" base_path: "{base}" model_platform: "tensorflow" model_version_policy {{ all {{}} }}
        version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }} }} }}""")
    for shadow, version, result, other in (("canary", 2, "mismatch", "match"), ("3", 3, "match", "mismatch")):
        with Server(program, f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models", monitoring,
                    f"--shadow_model=m:{shadow}") as server:
            expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
            expect("answers are those of the version that was asked", ask(server, "m", 10, "/labels/stable"), server)
            count = lambda result: metric(server, "shadow_count", model_name="m", version=version, result=result)
            expect(f"{shadow}: {result}", server.comes_to(lambda: count(result), 10), server)
            expect(f"{shadow}: no {other}", count(other) is None)
            drift = metric(server, "shadow_drift_sum", model_name="m", version=version)
            expect(f"{shadow} drifts by {drift}", drift == (10 if result == "mismatch" else 0))
            server.get(f"/v1/models/m/versions/{version}:predict", {"instances": [1.0]})
            expect("what the shadow is asked itself is not repeated", ask(server, "m", 1, "/labels/stable")
                   and server.comes_to(lambda: count(result), 11) and count(result) == 11, server)
            expect("the log tells of a difference",
                   ("differs from version 1" in server.text()) == (result == "mismatch"), server)
            expect("it stops", server.stops() == 0, server)
    with Server(program, f"--model_base_path={base}", "--shadow_model=m") as server:
        expect("a shadow without version is refused", server.process.wait(20) in (1, 2) and "MODEL:VERSION" in server.text(),
               server)


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        monitoring = "--monitoring_config_file=" + write(os.path.join(folder, "monitoring"), MONITORING)
        request_log(program, models, folder, monitoring)
        sampled_and_rotated(program, models, folder, monitoring)
        removed(program, models, folder, monitoring)
        full_disk(program, models, folder, monitoring)
        shadows(program, models, folder, monitoring)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
