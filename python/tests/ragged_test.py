"""Ragged and sparse tensors: TensorFlow's values, shapes, dtypes and errors."""
import unittest

import ragged_cases
import sparse_cases
import tenon.tf as tf
from truth import add_tests


class RaggedTest(unittest.TestCase):
    pass


class SparseTest(unittest.TestCase):
    pass


add_tests(RaggedTest, ragged_cases.CASES, "ragged", tf)
add_tests(SparseTest, sparse_cases.CASES, "sparse", tf)

if __name__ == "__main__":
    unittest.main()
