"""py_function and numpy_function: TensorFlow's values; what a graph calls lives as long as it."""
import concurrent.futures
import gc
import tempfile
import unittest
import weakref

import python_function_cases
import tenon.tf as tf
from truth import add_tests


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, python_function_cases.CASES, "python_function", tf)


class LifeTest(unittest.TestCase):
    def test_a_function_lives_as_long_as_the_graph_that_calls_it(self):
        class Twice:
            def __call__(self, x):
                return x * 2

        twice = Twice()
        seen = weakref.ref(twice)
        inner = tf.function(lambda x, f=twice: tf.py_function(f, [x], tf.float32))

        @tf.function
        def outer(x):
            return inner(x) + 1
        dataset = tf.data.Dataset.range(3).map(lambda x, f=twice: tf.py_function(f, [x], tf.int64))
        self.assertEqual(float(outer(tf.constant(2.))), 5)
        del inner, twice
        gc.collect()
        self.assertEqual(float(outer(tf.constant(3.))), 7)
        self.assertEqual([int(x) for x in dataset], [0, 2, 4])
        del outer, dataset
        gc.collect()
        self.assertIsNone(seen())

    def test_an_error_in_python_ends_the_run_alone(self):
        @tf.function
        def one(x):
            return tf.py_function(lambda v: v if v < 2 else 1 / 0, [x], tf.int32)

        with self.assertRaisesRegex(tf.errors.UnknownError, "ZeroDivisionError"):
            one(tf.constant(3))
        self.assertEqual(int(one(tf.constant(1))), 1)

    def test_a_saved_model_holds_no_python(self):
        one = tf.function(lambda x: tf.py_function(lambda v: v, [x], tf.int32), input_signature=[tf.TensorSpec([], tf.int32)])
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(ValueError, "calls Python's code, by py_function"):
            tf.saved_model.save(tf.Module(), folder, signatures=one)

    def test_eight_threads_call_it_at_once(self):
        function = tf.function(lambda x: tf.py_function(lambda v: v * 2 + 1, [x], tf.int32))
        function(tf.constant(0))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i: int(function(tf.constant(i))), range(200)))
        self.assertEqual(found, [2 * i + 1 for i in range(200)])


if __name__ == "__main__":
    unittest.main()
