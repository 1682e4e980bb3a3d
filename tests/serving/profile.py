#!/usr/bin/env python3
"""TensorBoard's capture button: TensorFlow's own client takes a trace of a server that works.

    tests/serving/profile.py --tenon build/tenon --cases shared/cases
"""
import glob
import os
import sys
import tempfile
import threading

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import tensorflow as tf  # noqa: E402
from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: E402

from support import Server, arguments, expect, summary  # noqa: E402


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder, \
            Server(program, f"--model_base_path={os.path.join(models, 'half_plus_two')}", "--model_name=m",
                   grpc=True) as server:
        expect("it serves", server.comes_to(lambda: server.predict("m"), 3.0), server)
        over = threading.Event()

        def work():
            while not over.is_set():
                server.predict("m")

        worker = threading.Thread(target=work)
        worker.start()
        tf.profiler.experimental.client.trace(f"grpc://localhost:{server.grpc_port}", folder, 500)
        over.set()
        worker.join()
        files = glob.glob(os.path.join(folder, "plugins", "profile", "*", "*.xplane.pb"))
        expect("the client saves one trace", len(files) == 1, server)
        space = xplane_pb2.XSpace()
        if files:
            with open(files[0], "rb") as f:
                space.ParseFromString(f.read())
        judge(space)
        expect("nothing is refused afterwards", server.predict("m") == 3.0)
    return summary()


def judge(space):
    expect("of the host", [plane.name for plane in space.planes] == ["/host:CPU"] and len(space.hostnames) == 1)
    requests, ops, inside, bounds = 0, set(), True, True
    for plane in space.planes:
        for line in plane.lines:
            spans = []
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                span = (event.offset_ps, event.offset_ps + event.duration_ps)
                bounds = bounds and event.duration_ps > 0 and span[1] <= line.duration_ps
                if name == "POST /v1/models/m:predict":
                    requests += 1
                    spans.append(span)
                elif ":" in name and "/" not in name.split(":")[1]:
                    ops.add(name.split(":")[1])
                    op = (name, *span)
                    spans.append(op)
            whole = [s for s in spans if len(s) == 2]
            # A step ends before the request that it is part of. The first and the last may be cut.
            inside = inside and all(any(a <= s[1] and s[2] <= b for a, b in whole)
                                    for s in spans if len(s) == 3 and whole and whole[0][1] < s[1] < whole[-1][0])
    expect("requests are in it", requests > 10)
    expect(f"ops are in it: {sorted(ops)}", bool(ops))
    expect("steps lie in the requests that they are part of", inside)
    expect("spans lie within the trace", bounds)


if __name__ == "__main__":
    sys.exit(main())
