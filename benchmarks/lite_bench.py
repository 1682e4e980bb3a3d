"""One call of a .tflite, in floats and quantised to int8, beside TensorFlow Lite's interpreter with XNNPACK and without: one thread each, in turns."""
import contextlib
import json
import statistics
import subprocess

import lite_peer

MODELS = ("mlp", "mnist_cnn", "mobilenetv2")
SECONDS, ROUNDS = 1.0, 5


class Row:
    def __init__(self, model, kind):
        self.model, self.kind = model, kind
        self.name = f"one call of a .tflite, {model}, {kind}, median ms"

    def measure(self, tenon, seconds=SECONDS):
        command = [tenon, "bench", "--model_base_path", lite_peer.path_of(self.model, self.kind), "--threads", "1", "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout.strip().splitlines()[-1])["median_ms"]


def rows():
    return [Row(model, kind) for model in MODELS for kind in lite_peer.KINDS]


def figures(tenon):
    """Medians of the rounds' medians. Ratios are those of a round each, so that what else the machine did in it meets both."""
    for model in MODELS:
        times = {}
        with contextlib.ExitStack() as stack:
            sides = {}
            for kind in lite_peer.KINDS:
                sides[f"tenon {kind}"] = lambda row=Row(model, kind): row.measure(tenon)
                for delegate in ("xnnpack", "plain"):
                    peer = stack.enter_context(lite_peer.Peer(lite_peer.path_of(model, kind), delegate))
                    sides[f"{delegate} {kind}"] = lambda peer=peer: peer.measure(SECONDS)
            for turn in range(ROUNDS):
                for side in list(sides)[::1 if turn % 2 == 0 else -1]:
                    times.setdefault(side, []).append(sides[side]())

        def ratio(a, b):
            return round(statistics.median(x / y for x, y in zip(times[a], times[b])), 2)

        yield {"figure": f"one call of a .tflite, {model}, median ms", **{side: round(statistics.median(t), 4) for side, t in times.items()},
               "int8/float": ratio("tenon int8", "tenon float"), "float/xnnpack": ratio("tenon float", "xnnpack float"),
               "int8/xnnpack": ratio("tenon int8", "xnnpack int8"), "int8/plain": ratio("tenon int8", "plain int8")}
