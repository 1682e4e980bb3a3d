#!/usr/bin/env python3
"""What a call from Python costs, in microseconds, Tenon beside TensorFlow and NumPy: one JSON line a figure.

    PYTHONPATH=build/python .venv/bin/python benchmarks/python/eager.py [--tenon-only]
"""
import json
import os
import subprocess
import sys
import time

import numpy as np

PEER = "--tenon-only" not in sys.argv


def microseconds(f, number=2000, repeat=7):
    """The least of `repeat` means: what the call costs when nothing else runs."""
    for _ in range(50):
        f()
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(number):
            f()
        best = min(best, (time.perf_counter() - start) / number)
    return round(best * 1e6, 3)


def calls(tf):
    """By name, the same for every library of TensorFlow's interface."""
    a, b = tf.constant([1., 2.]), tf.constant([3., 4.])
    m = tf.constant(np.ones((8, 8), np.float32))
    v = tf.Variable([1., 2.])
    array = np.ones(2, np.float32)
    traced = tf.function(lambda x: x * 2. + 1.)
    concrete = traced.get_concrete_function(a)

    def tape():
        with tf.GradientTape() as t:
            y = v * v
        return t.gradient(y, v)

    return {"raw_ops.AddV2": lambda: tf.raw_ops.AddV2(x=a, y=b), "a + b": lambda: a + b, "a + 1.0": lambda: a + 1.,
            "8x8 matmul": lambda: m @ m, "constant(array)": lambda: tf.constant(array), "numpy()": a.numpy,
            "x[0]": lambda: a[0], "assign_add": lambda: v.assign_add(a), "function call": lambda: traced(a),
            "concrete function call": lambda: concrete(a), "tape v*v and gradient": tape}


def start(module):
    """Milliseconds and MB of `import module`, the best of five."""
    code = (f"import time; t = time.perf_counter(); import {module}; d = time.perf_counter() - t\n"
            "import re; print(d * 1e3, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024)")
    runs = [tuple(map(float, subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
                      .stdout.split())) for _ in range(5)]
    return {"ms": round(min(r[0] for r in runs), 1), "MB": round(min(r[1] for r in runs), 1)}


def main():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tenon
    peer = None
    if PEER:
        import tensorflow as peer
    print(json.dumps({"figure": "import", "tenon": start("tenon"), "peer": start("tensorflow") if peer else None}))
    ours, theirs = calls(tenon), calls(peer) if peer else {}
    for name, call in ours.items():
        figure = {"figure": name, "tenon": microseconds(call)}
        if peer:
            figure["peer"] = microseconds(theirs[name], 300, 3)
        print(json.dumps(figure), flush=True)
    x, y = np.ones(2, np.float32), np.ones(2, np.float32)
    print(json.dumps({"figure": "numpy a + b", "peer": microseconds(lambda: x + y)}))


if __name__ == "__main__":
    main()
