"""Python's code and datasets within traced functions: TensorFlow's values; what a graph calls lives as long as it."""
import gc
import unittest
import weakref

import graph_data_cases
import tenon.tf as tf
from truth import add_tests


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, graph_data_cases.CASES, "graph_data", tf)


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

    def test_an_iterator_ends_with_the_run_that_made_it(self):
        alive = []

        class Source:
            pass

        def numbers():
            source = Source()
            alive.append(weakref.ref(source))
            yield from range(5)

        dataset = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int32))

        @tf.function
        def first():
            for x in dataset:
                return x
            return tf.constant(-1)

        for _ in range(3):
            self.assertEqual(int(first()), 0)
        gc.collect()
        self.assertEqual([each() for each in alive], [None] * 3)

    def test_an_error_in_python_ends_the_run_alone(self):
        @tf.function
        def one(x):
            return tf.py_function(lambda v: v if v < 2 else 1 / 0, [x], tf.int32)

        with self.assertRaisesRegex(tf.errors.UnknownError, "ZeroDivisionError"):
            one(tf.constant(3))
        self.assertEqual(int(one(tf.constant(1))), 1)


if __name__ == "__main__":
    unittest.main()
