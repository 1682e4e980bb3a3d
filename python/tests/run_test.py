"""python -m tenon run: unmodified programs for TensorFlow."""
import os
import subprocess
import sys
import tempfile
import unittest


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


if __name__ == "__main__":
    unittest.main()
