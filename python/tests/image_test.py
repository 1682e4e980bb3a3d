"""tf.image: cutting, turning, colouring and drawing at random: TensorFlow's numbers."""
import unittest

import tenon.tf as tf
from image_cases import CASES
from truth import add_tests


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "image", tf)

if __name__ == "__main__":
    unittest.main()
