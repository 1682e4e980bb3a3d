"""python -m tenon run: unmodified programs for TensorFlow, the example among them; what TensorBoard reads of a fit."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(os.environ.get("TENON_SHARED", ""), "data", "mnist10k")


def run(*args, code=None, cwd=None):
    folder = cwd or tempfile.mkdtemp()
    if code is not None:
        with open(os.path.join(folder, "script.py"), "w") as file:
            file.write(code)
        args = ("script.py", *args)
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | {"KERAS_HOME": tempfile.mkdtemp()}
    return subprocess.run([sys.executable, "-m", "tenon", "run", *args], cwd=folder, env=environment, capture_output=True,
                          text=True)


class RunTest(unittest.TestCase):
    def test_tensorflow_is_tenon(self):
        done = run("-x", "7", code="""
import sys, tensorflow as tf, tensorflow.keras.layers as L, tensorflow.compat.v2 as tf2
from tensorflow.keras.models import Sequential
from tensorflow.keras import layers
from tensorflow import keras
import keras as alone
from tensorflow.data import Dataset
import json
print(tf.__version__, sys.argv, __name__, __file__, sys.modules["__main__"].tf is tf, tf2 is tf)
print(tf.config.list_physical_devices(), L.Dense is layers.Dense, alone.backend.backend(), tf.add(1, 2).numpy())
""")
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.splitlines(), [
            "2.21.0+tenon ['script.py', '-x', '7'] __main__ script.py True True",
            "[PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')] True tenon 3"])

    def test_ends_are_those_of_python(self):
        done = run(code="import tensorflow as tf\ndef f():\n    raise KeyError('x')\nf()\n")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([line.strip() for line in done.stderr.splitlines() if not line.strip().startswith("^")], [
            "Traceback (most recent call last):", 'File "script.py", line 4, in <module>', "f()",
            'File "script.py", line 3, in f', "raise KeyError('x')", "KeyError: 'x'"])
        self.assertEqual(run(code="import sys; sys.exit(5)").returncode, 5)
        self.assertIn("SyntaxError", run(code="import (").stderr)
        self.assertIn("can't open file", run("absent.py").stderr)
        missing = run(code="import tensorflow.python.ops")
        self.assertIn("ModuleNotFoundError: No module named 'tensorflow.python': tensorflow is Tenon's tenon.tf here",
                      missing.stderr)
        self.assertIn("No module named 'absent'", run(code="import absent").stderr)

    def test_a_module_runs_too(self):
        folder = tempfile.mkdtemp()
        with open(os.path.join(folder, "part.py"), "w") as file:
            file.write("import sys, tensorflow as tf\nprint(__name__, sys.argv[1:], int(tf.constant(4)))\n")
        self.assertEqual(run("-m", "part", "a", cwd=folder).stdout, "__main__ ['a'] 4\n")

    @unittest.skipUnless(os.path.isdir(DATA), "the digits are not there")
    def test_the_example_trains_and_is_seen_by_tensorboard(self):
        out = tempfile.mkdtemp()
        done = run(os.path.join(ROOT, "examples/python/mnist_mirrored.py"), "--data", DATA, "--epochs", "2", "--replicas", "2",
                   "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "Number of devices: 2")
        accuracies = [float(line.split()[-1]) for line in lines if "ccuracy" in line and "Epoch" not in line][-3:]
        self.assertGreater(accuracies[0], 0.9)
        self.assertEqual(accuracies, accuracies[:1] * 3)
        for name in ("mnist.keras", "served/saved_model.pb", "checkpoint_2.weights.h5"):
            self.assertTrue(os.path.exists(os.path.join(out, name)), name)
        self._look_at(os.path.join(out, "logs"))

    def _look_at(self, logs):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        seen = {}
        for kind in ("train", "validation"):
            self.assertTrue(glob.glob(os.path.join(logs, kind, "events.out.tfevents.*")))
            events = EventAccumulator(os.path.join(logs, kind)).Reload()
            seen[kind] = events
        tags = seen["train"].Tags()["tensors"]
        for tag in ("epoch_loss", "epoch_accuracy", "epoch_learning_rate", "keras", "sequential/dense/kernel/histogram"):
            self.assertIn(tag, tags)
        self.assertEqual([e.step for e in seen["train"].Tensors("epoch_loss")], [0, 1])
        self.assertIn("epoch_loss", seen["validation"].Tags()["tensors"])
        self.assertEqual(seen["train"].SummaryMetadata("keras").plugin_data.plugin_name, "graph_keras_model")
        histogram = seen["train"].Tensors("sequential/dense/kernel/histogram")[0].tensor_proto
        self.assertEqual([d.size for d in histogram.tensor_shape.dim], [30, 3])


if __name__ == "__main__":
    unittest.main()
