"""What README's table shows: from nothing to the first answer, size, memory, one call, one training step, beside TensorFlow 2.21."""
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import keras_models
from model_rows import Row

MODEL = "mnist_cnn"
TENSORFLOW = """
import resource, sys
import numpy as np
import tensorflow as tf
call = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
(key, spec), = call.structured_input_signature[1].items()
call(**{key: tf.constant(np.load(sys.argv[2]))})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def run_ms(command):
    """Milliseconds from start to end, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3"))
    return (time.perf_counter() - start) * 1e3, done.stdout


def megabytes(*paths):
    total = 0
    for path in paths:
        walked = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names] if os.path.isdir(path) else [path]
        total += sum(os.path.getsize(file) for file in walked if not os.path.islink(file))
    return total / 2**20


def libraries(program):
    """Paths of the shared libraries that a program loads."""
    return {os.path.realpath(path) for path in re.findall(r"(/\S+) \(0x", run_ms(["ldd", program])[1])}


def first_answer(tenon):
    """Both from the start of their process to the answer of a model that lies on disk; best of five each, in turns."""
    import numpy as np
    saved_model, _ = keras_models.cached(MODEL)
    folder = os.path.join(saved_model, "1")
    with tempfile.TemporaryDirectory() as work:
        x = os.path.join(work, "x.npy")
        np.save(x, np.zeros((1, 28, 28, 1), np.float32))
        signature = json.loads(run_ms([tenon, "inspect", folder, "--json"])[1])["signatures"]["serving_default"]
        ours, theirs, memory = [], [], []
        for _ in range(5):
            ours.append(run_ms([tenon, "run", "--model", folder, "--inputs", f"{next(iter(signature['inputs']))}={x}"])[0])
            elapsed, printed = run_ms([sys.executable, "-B", "-c", TENSORFLOW, folder, x])
            theirs.append(elapsed)
            memory.append(float(printed.split()[-1]))
    line = json.loads(run_ms([tenon, "bench", "--model", folder, "--batch", "1", "--seconds", "0.05"])[1].splitlines()[-1])
    yield {"figure": f"start to first answer, {MODEL}, ms", "tenon": round(min(ours), 1), "tensorflow": round(min(theirs), 1)}
    yield {"figure": f"memory for it, {MODEL}, MB", "tenon": round(line["peak_rss_mb"]), "tensorflow": round(min(memory))}


def figures(tenon):
    versions = [run_ms([tenon, "--version"])[0] for _ in range(30)]
    imports = [run_ms([sys.executable, "-B", "-c", "import tensorflow"])[0] for _ in range(3)]
    yield {"figure": "start, best, ms", "tenon": round(min(versions), 1), "tensorflow": round(min(imports))}
    tensorflow = os.path.dirname(importlib.util.find_spec("tensorflow").origin)
    with tempfile.TemporaryDirectory() as work:
        stripped = os.path.join(work, "tenon")
        subprocess.run(["strip", "-o", stripped, tenon], check=True)
        yield {"figure": "size on disk, with the libraries that it loads, MB",
               "tenon": round(megabytes(stripped, *libraries(tenon))), "tensorflow": round(megabytes(tensorflow))}
    yield from first_answer(tenon)
    for row in (Row("infer", MODEL, 1), Row("train", MODEL, 64)):
        yield row.figure(tenon)
