"""Keras' layers for texts and categories on Tenon: the numbers of Keras on TensorFlow, and a model that answers raw texts."""
import os
import shutil
import tempfile
import unittest

HOME = tempfile.mkdtemp()
os.environ.update(KERAS_BACKEND="tenon", KERAS_HOME=HOME)

import tenon.tf as tf  # noqa: E402
from text_cases import CASES  # noqa: E402
from truth import add_tests  # noqa: E402


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "text", tf)

def tearDownModule():
    shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
