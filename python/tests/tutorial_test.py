"""Programs by which people learn TensorFlow and Keras: TensorFlow's numbers."""
import os
import tempfile
import unittest

os.environ["KERAS_BACKEND"] = "tenon"
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())

import tenon.tf as tf
from truth import add_tests
from tutorial_cases import CASES


class TutorialTest(unittest.TestCase):
    pass


add_tests(TutorialTest, CASES, "tutorial", tf)

if __name__ == "__main__":
    unittest.main()
