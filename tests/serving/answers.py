#!/usr/bin/env python3
"""Requests as odd clients send them, and what TensorFlow Serving's sources answer: beside the cases of shared/cases,
what its parsers of paths (http_rest_api_util.cc), JSON (json_tensor.cc, RapidJSON 1.1) and HTTP (libevent) do with
spelling, order and form.

    tests/serving/answers.py --tenon build/tenon --cases shared/cases
"""
import gzip
import json
import os
import re
import socket
import sys
import tempfile

from support import Server, arguments, expect, summary

HALF, ECHO, EXAMPLES, SCALE = (f"/v1/models/{name}" for name in ("half_plus_two", "echo", "examples", "scale"))
TWO = '{"instances":[2]}'
LATER = "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "

# Method, path, body, status, what is in the answer.
PATHS = [
    ("POST", "/V1/MODELS/half_plus_two:PREDICT", TWO, 400, "Malformed request: POST /V1/MODELS"),
    ("POST", HALF + ":predict?x=1", TWO, 400, "Malformed request: POST /v1/models/half_plus_two:predict?x=1"),
    ("GET", HALF + "?x=1", None, 404, "Could not find any versions of model half_plus_two?x=1"),
    ("GET", HALF + "/", None, 400, "Malformed request"),
    ("GET", "//v1/models/m", None, 404, ""),
    ("GET", "/v1/", None, 400, "Malformed request: GET /v1/"),
    ("GET", "/v1", None, 404, ""),
    ("GET", "http://x" + HALF, None, 200, "AVAILABLE"),
    ("PUT", HALF + ":predict", "{}", 400, "Malformed request: PUT"),
    ("DELETE", HALF, None, 400, "Malformed request: DELETE"),
    ("PATCH", HALF + ":predict", "{}", 400, "Malformed request: PATCH"),
    ("HEAD", HALF, None, 400, ""),
    ("POST", SCALE + "/versions/0001:predict", TWO, 200, "2.0"),
    ("POST", SCALE + "/versions/9223372036854775807:predict", TWO, 404, "Specific(scale, 9223372036854775807)"),
    ("POST", SCALE + "/versions/9223372036854775808:predict", TWO, 400,
     "Failed to convert version: 9223372036854775808 to numeric."),
    ("POST", SCALE + "/versions/-1:predict", TWO, 400, "Malformed request"),
    ("POST", SCALE + "/versions/1/labels/stable:predict", TWO, 400, "Malformed request"),
    ("GET", SCALE + "/labels/stable", None, 200, '"version": "3"'),
    ("GET", SCALE + "/labels/stable/metadata", None, 200, '"version": "1"'),
    ("GET", SCALE + "/labels/no/metadata", None, 400, "Unrecognized servable version label: no"),
    ("GET", HALF + "/METADATA", None, 200, "model_version_status"),
    ("POST", "/v1/models/half%5fplus%5Ftwo:predict", TWO, 200, "3.0"),
    ("POST", "/v1/models/a%2Fb:predict", TWO, 404, "Latest(a/b)"),
    ("POST", "/v1/models/a%3Ab:predict", TWO, 404, "Latest(a:b)"),
    ("POST", "/v1/models/a%zz:predict", TWO, 404, "Latest(a%zz)"),
    ("POST", SCALE + "/labels/st%61ble:predict", TWO, 200, "2.0"),
    ("POST", SCALE + "/labels/a%20b:predict", TWO, 400, "Unrecognized servable version label: a b"),
]

# Body of a predict on half_plus_two, status, what is in the answer.
TEXTS = [
    ('{"instances":[2]} xyz', 200, "3.0"),
    ('{"instances":[2]}{"instances":[3]}', 200, "3.0"),
    (b'\xef\xbb\xbf{"instances":[2]}', 200, "3.0"),
    ('{"instances":[2],"instances":[4]}', 200, "3.0"),
    (b'{"instances":[2]}\0\0', 200, "3.0"),
    ('{"signature_name":"","instances":[2]}', 200, "3.0"),
    ('{"instances":[[],[]]}', 200, "[[], []"),
    ('{"inputs":2}', 200, '"outputs": 3.0'),
    ('{"instances":[NaN,Infinity,-Infinity,Inf,-Inf]}', 200, "[NaN, Infinity, -Infinity, Infinity, -Infinity"),
    ('{"instances":[1e39,-1e39,1e-50]}', 200, "[Infinity, -Infinity, 2.0"),
    ('{"instances":[123456789012345678901234567890]}', 200, "6.17283946e+28"),
    ('"x"', 400, 'JSON Value: "x" Is not object'),
    ("null", 400, "JSON Value: null Is not object"),
    ("{}", 400, "Missing 'inputs' or 'instances' key"),
    ("   ", 400, "JSON Parse error: The document is empty"),
    ('{"signature_name":null,"instances":[1]}', 400, "must be a string value"),
    ('{"instances":"abc"}', 400, "Expecting 'instances' to be an list/array"),
    ('{"instances":[null]}', 400, "JSON Value: null Type: Null is not of expected type: float"),
    ('{"instances":[true]}', 400, "JSON Value: true Type: True is not of expected type: float"),
    ('{"instances":[1,[2]]}', 400, LATER + "Expecting shape [] but got: [1]"),
    ('{"instances":[[1],2]}', 400, LATER + "Expecting shape [1] but got: []"),
    ('{"instances":[1,{"x":2}]}', 400, "Expecting value/list but got object at item 1 of input list"),
    ('{"instances":[[1,2],[3]]}', 400, LATER + "Expecting tensor size: 2 but got: 1"),
    ('{"instances":[[[1,2],[3,4]],[[5,6],[7]]]}', 400,
     LATER + "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
    ('{"inputs":[[1],2]}', 400, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ('{"inputs":[1,[2]]}', 400, "Encountered list at unexpected level: 1 expected < 1"),
    ('{"instances":[{"b64":"aGk="}]}', 400, "Type: Object is not of expected type: float"),
    ('{"instances":[{"x":1,"y":2}]}', 400, "key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object:"),
    ('{"instances":[{}]}', 400, "JSON object: {} keys must be equal to: x"),
    ('{"inputs":{}}', 400, "Missing named input: x in 'inputs' object."),
    ('{"instances":[nan]}', 400, "JSON Parse error: Invalid value"),
    ('{"instances":[+1]}', 400, "JSON Parse error: Invalid value. at offset: 14"),
    ('{"instances":[1.]}', 400, "Miss fraction part in number"),
    ('{"instances":[1e]}', 400, "Miss exponent in number"),
    ('{"instances":[0x1]}', 400, "Missing a comma or ']' after an array element"),
    ('{"instances":[1,]}', 400, "Invalid value"),
    ('{"instances":[1 /*x*/]}', 400, "Missing a comma or ']'"),
    ("{'instances':[1]}", 400, "Missing a name for object member."),
]

# Signature of echo, the rest of the body, status, what is in the answer.
TYPES = [
    ("int32", '"instances":[2147483648]', 400, "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
    ("int32", '"instances":[-0]', 200, "[0"),
    ("int8", '"instances":[300]', 200, "44"),
    ("uint8", '"instances":[-1]', 200, "255"),
    ("uint32", '"instances":[-1]', 400, "not of expected type: uint32"),
    ("uint64", '"instances":[1.0]', 400, "not of expected type: uint64"),
    ("int64", '"instances":[1e3]', 400, "not of expected type: int64"),
    ("bool", '"instances":["true"]', 400, "not of expected type: bool"),
    ("string", '"instances":[{"b64":"aGk"}]', 200, "hi"),
    ("string", '"instances":[{"b64":"_-8="}]', 400, "Unable to base64 decode"),
    ("string", '"instances":[{"b64":5}]', 400, "does not have named input: b64"),
    ("string", '"inputs":[{"b64":"aGk=","c":1}]', 400, "not formatted correctly for base64 data"),
    ("string", '"instances":["\\ud83d"]', 400, "The surrogate pair in string is invalid."),
    ("string", '"instances":["\\u0000a"]', 200, "\\u0000a"),
    ("string", '"instances":["a\nb"]', 400, "Invalid e"),
    ("double", '"instances":[0.1,1e300,123456789.123,3]', 200, "[0.1, 1e+300, 123456789.123, 3.0"),
    ("float", '"instances":[16777216,0.1,1e-7,123456.7]', 200, "[16777216.0, 0.1, 1e-07, 123456.7"),
]

# Path, body, status, what is in the answer.
INFERENCES = [
    (HALF + ":regress", '{"signature_name":"regress_x_to_y","context":{"x":4.0},"examples":[{}]}', 200, "[4.0]"),
    (HALF + ":classify", '{"examples":[null]}', 400, "Example must be JSON object but got JSON Null"),
    (HALF + ":classify", '{"examples":[[1]]}', 400, "Example must be JSON object but got JSON Array"),
    (HALF + ":classify", '{"examples":[{"x":{"a":1}}]}', 400, "x has element with unexpected JSON type: Object"),
    (HALF + ":classify", '{"examples":[{"x":[[1.0]]}]}', 400, "x has element with unexpected JSON type: Array"),
    (HALF + ":classify", '{"examples":[{"x":18446744073709551615}]}', 400, "Feature: x has uint64_t element."),
    (HALF + ":classify", '{"signature_name":5,"examples":[{}]}', 400, "must be a string value"),
    (HALF + ":classify", "{}", 400, "JSON Value: {} When method is classify, key 'examples' is expected"),
    (EXAMPLES + ":regress", '{"signature_name":"reg_i","examples":[{"i":[]}]}', 200, "7.0"),
    (EXAMPLES + ":regress", '{"signature_name":"reg_i","examples":[{"i":2.0}]}', 400, "Data types don't match"),
]


def exchange(port, *pieces):
    """What comes back for bytes that are sent piece by piece, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        for piece in pieces:
            s.sendall(piece)
        answer = b""
        while piece := s.recv(1 << 16):
            answer += piece
    return answer


def ask(port, method, path, body=None, *headers):
    """Status, head and body; the error's text where there is one."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head, _, text = exchange(port, "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")).partition(b"\r\n\r\n")
    text = text.decode(errors="replace")
    if text.startswith('{\n    "error"'):
        text = json.loads(text)["error"]
    return int(head.split()[1]), head.decode(), text


def tables(port):
    rows = [(method, path, body, status, part) for method, path, body, status, part in PATHS]
    rows += [("POST", HALF + ":predict", body, status, part) for body, status, part in TEXTS]
    rows += [("POST", ECHO + ":predict", f'{{"signature_name":"{name}",{rest}}}', status, part)
             for name, rest, status, part in TYPES]
    rows += [("POST", path, body, status, part) for path, body, status, part in INFERENCES]
    right = 0
    for method, path, body, status, part in rows:
        got, _, text = ask(port, method, path, body)
        held = got == status and part in text and not (method == "HEAD" and text)
        right += held
        if not held:
            print(f"     {method} {path} {body!r}: {status} {part!r} is expected, {got} {text[:200]!r} found")
    expect(f"{right} of {len(rows)} requests are answered as by TensorFlow Serving", right == len(rows))


def http_forms(port):
    body = b'{"instances": [2.0]}'
    path = HALF + ":predict"
    start = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    expect("chunks", b"3.0" in exchange(port, start + b"Transfer-Encoding: chunked\r\n\r\n", b"8\r\n{\"instan\r\n",
                                        b"b\r\nces\": [2.0]\r\n", b"1\r\n}\r\n0\r\n\r\n"))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(start + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        expect("a body that is announced is asked for", s.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n")
        s.sendall(body)
        expect("and taken", b"3.0" in s.recv(1 << 16))
    expect("another expectation", ask(port, "POST", path, body, "Expect: 200-ok")[0] == 417)
    expect("HTTP/1.0", b"AVAILABLE" in exchange(port, f"GET {HALF} HTTP/1.0\r\n\r\n".encode()))
    for coding in ("gzip", "x-gzip"):
        expect(f"a body in {coding}",
               "3.0" in ask(port, "POST", path, gzip.compress(body), f"Content-Encoding: {coding}")[2])
    status, head, text = ask(port, "POST", path, body, "Content-Type: text/x", "Accept-Encoding: gzip")
    expect("any content type, and no compressed answer", status == 200 and "3.0" in text
           and "Content-Type: application/json" in head and "ncoding" not in head)
    expect("no body", "The document is empty" in ask(port, "POST", path)[2])
    for method in ("GET", "POST"):
        expect(f"metrics by {method}", "# TYPE" in ask(port, method, "/monitoring/prometheus/metrics")[2])
    for origin, status in (("http://a.b", 200), ("null", 400)):
        expect(f"OPTIONS from {origin}", ask(port, "OPTIONS", path, None, f"Origin: {origin}")[0] == status)


def figures(server):
    """What the page of metrics says beyond TensorFlow Serving's names."""
    page = server.get("/monitoring/prometheus/metrics")[1]
    values = dict(re.findall(r"^(\S+) (\S+)$", page, re.M))
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.M))
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as f:
        status = dict(re.findall(r"^(\w+):\s+(\d+)", f.read(), re.M))
    near = {"process_open_fds": len(os.listdir(f"/proc/{server.process.pid}/fd")),
            "process_threads": int(status["Threads"]), "process_resident_memory_bytes": int(status["VmRSS"]) * 1024,
            "process_virtual_memory_bytes": int(status["VmSize"]) * 1024,
            "process_start_time_seconds": os.stat(f"/proc/{server.process.pid}").st_mtime}
    for name, value in near.items():
        found = float(values.get(name + "{}", "nan"))
        expect(f"{name} is {found}, about {value}", abs(found - value) <= max(0.1 * value, 8), server)
    expect("processor time is counted", float(values.get("process_cpu_seconds_total{}", 0)) > 0, server)
    expect("as a counter", kinds.get("process_cpu_seconds_total") == "counter")
    for series, value in (('requests_in_flight{entrypoint="REST",state="running"}', "0"),
                          ('requests_in_flight{entrypoint="REST",state="queued"}', "0"),
                          ('requests_in_flight{entrypoint="REST",state="aside"}', "0"),
                          ('open_connections{entrypoint="REST"}', "1"), ('requests_refused{entrypoint="REST"}', "0")):
        found = values.get(":tensorflow:serving:" + series)
        expect(f"{series} is {found}", found == value, server)


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "models.config")
        served = ("model_version_policy { specific { versions: 1 versions: 3 } } "
                  "version_labels { key: 'stable' value: 1 }")
        entries = "".join(f"config {{ name: '{name}' base_path: '{os.path.join(models, name)}' "
                          f"model_platform: 'tensorflow' {served if name == 'scale' else ''} }} "
                          for name in ("half_plus_two", "echo", "examples", "scale"))
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"model_config_list {{ {entries} }}")
        monitoring = os.path.join(folder, "monitoring.config")
        with open(monitoring, "w", encoding="utf-8") as f:
            f.write("prometheus_config { enable: true }")
        with Server(program, f"--model_config_file={config}", f"--monitoring_config_file={monitoring}",
                    "--allow_version_labels_for_unavailable_models=true") as server:
            expect("it is ready", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
            tables(server.port)
            http_forms(server.port)
            figures(server)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
