"""Datasets within traced functions: TensorFlow's values; a pass ends with the loop or the run that began it."""
import gc
import threading
import unittest
import weakref

import graph_data_cases
import tenon.tf as tf
from truth import add_tests


graph_data_cases.begin(tf)


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, graph_data_cases.CASES, "graph_data", tf)


class Source:
    pass


class LifeTest(unittest.TestCase):
    def test_an_iterator_ends_with_the_run_that_made_it(self):
        alive = []

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

    def test_passes_that_were_left_end_in_the_loop(self):
        before = threading.active_count()
        alive = []

        def numbers():
            source = Source()
            alive.append(weakref.ref(source))
            yield from range(5)

        inner = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int32)).prefetch(2)
        most = []

        def count():
            gc.collect()
            most.append(sum(each() is not None for each in alive))

        @tf.function
        def outer():
            found = 0
            for _ in tf.data.Dataset.range(20):
                for x in inner:
                    if x == 1:
                        break
                    found += 1
                tf.py_function(count, [], [])
            return found

        self.assertEqual(int(outer()), 20)
        self.assertEqual((len(alive), max(most)), (20, 0))
        self.assertEqual(threading.active_count(), before)

    def test_an_error_in_an_element_is_the_callers(self):
        def numbers():
            yield 1
            raise KeyError("of mine")

        dataset = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int32))

        @tf.function
        def total():
            found = 0
            for x in dataset:
                found += x
            return found

        for _ in range(2):
            with self.assertRaisesRegex(tf.errors.UnknownError, "of mine"):
                total()

    def test_functions_and_iterators_are_freed(self):
        dataset = tf.data.Dataset.range(5)

        @tf.function
        def first(iterator):
            for x in dataset:
                return x + next(iterator)
            return tf.constant(-1, tf.int64)

        iterator = iter(dataset)
        self.assertEqual([int(first(iterator)) for _ in range(3)], [0, 1, 2])
        seen = weakref.ref(dataset), weakref.ref(iterator), weakref.ref(first)
        del dataset, iterator, first
        gc.collect()
        self.assertEqual([each() for each in seen], [None] * 3)


if __name__ == "__main__":
    unittest.main()
