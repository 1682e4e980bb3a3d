"""What people try first: TensorFlow's answers."""
import unittest

import tenon.tf as tf
from first_steps_cases import CASES
from truth import add_tests


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "first_steps", tf)

if __name__ == "__main__":
    unittest.main()
