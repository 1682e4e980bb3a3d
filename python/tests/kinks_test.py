"""Values and gradients at kinks, poles and ties: TensorFlow's."""
import os
import unittest

os.environ["KERAS_BACKEND"] = "tenon"

import tenon.tf as tf  # noqa: E402
from kinks_cases import CASES  # noqa: E402
from truth import add_tests  # noqa: E402


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "kinks", tf)

if __name__ == "__main__":
    unittest.main()
