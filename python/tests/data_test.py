"""tf.data over the C++ pipeline: TensorFlow's elements; threads, errors of users' functions, iterators that are dropped."""
import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest
import weakref

import numpy as np

import tenon.tf as tf
from data_cases import CASES
from truth import add_tests

D, S = tf.data.Dataset, tf.TensorSpec
INT = S([], tf.int32)


def values(dataset):
    return [x.numpy().tolist() for x in dataset]


class CasesTest(unittest.TestCase):
    pass


add_tests(CasesTest, CASES, "data", tf)


class IterationTest(unittest.TestCase):
    def test_twice_and_two_at_one_time(self):
        for dataset in (D.range(6).map(lambda x: x * 2, 3).batch(2).prefetch(2), D.range(6).map(lambda x: x * 2).batch(2).cache(),
                        D.from_generator(lambda: iter(range(0, 12, 2)), output_signature=S([], tf.int64)).batch(2).prefetch(1)):
            want = [[0, 2], [4, 6], [8, 10]]
            self.assertEqual([values(dataset), values(dataset)], [want, want])
            a, b = iter(dataset), iter(dataset)
            got = [[x.numpy().tolist(), y.numpy().tolist()] for x, y in zip(a, b)]
            self.assertEqual(got, [[w, w] for w in want])

    def test_caches_are_shared_by_what_follows_them(self):
        made = []

        def numbers():
            made.append(1)
            yield from range(3)
        cached = D.from_generator(numbers, output_signature=INT).cache()
        self.assertEqual([values(cached), values(cached.map(lambda x: x + 1)), values(cached.batch(3))],
                         [[0, 1, 2], [1, 2, 3], [[0, 1, 2]]])
        self.assertEqual(len(made), 1)

    def test_samples_come_by_the_weights_and_lose_nothing(self):
        few, many = D.range(100), D.range(1000, 1300)

        def sampled(seed, **options):
            return values(D.sample_from_datasets([few, many], [0.25, 0.75], seed, **options))
        whole = sampled(3)
        self.assertEqual([sorted(whole), whole == sampled(3), whole == sampled(4)], [[*range(100), *range(1000, 1300)], True, False])
        for part in (few, many):
            self.assertEqual([x for x in whole if (x < 1000) == (part is few)], values(part))
        # Six deviations of a binomial with n = 200, p = 1/4.
        self.assertLess(abs(sum(x < 1000 for x in whole[:200]) - 50), 6 * 6.2)
        stopped = sampled(3, stop_on_empty_dataset=True)
        self.assertEqual(stopped, whole[:len(stopped)])

    def test_interleave_in_any_order_loses_nothing(self):
        numbers = D.range(12).interleave(lambda x: D.range(x * 10, x * 10 + 5), 4, 2, 3, deterministic=False)
        self.assertEqual(sorted(values(numbers)), [x * 10 + y for x in range(12) for y in range(5)])
        with self.assertRaises(tf.errors.InvalidArgumentError):
            D.range(2).interleave(D.range, 2, num_parallel_calls=3)

    def test_cache_file(self):
        path = os.path.join(tempfile.mkdtemp(), "cache")
        self.assertEqual([values(D.range(3).cache(path)), values(D.range(9).cache(path))], [[0, 1, 2]] * 2)

    def test_elements_do_not_change_later(self):
        """A pipeline writes batches over batches that nobody holds, and over no others."""
        data = np.arange(64, dtype=np.float32).reshape(16, 4)
        batches = list(D.from_tensor_slices(data).shuffle(16, seed=3).batch(4).prefetch(2))
        again = list(D.from_tensor_slices(data).shuffle(16, seed=3).batch(4))
        for a, b in zip(batches, again):
            np.testing.assert_array_equal(a.numpy(), b.numpy())

    def test_variables_and_captures_live_as_long_as_the_dataset(self):
        def make():
            weight, big = tf.Variable(3.), tf.constant(np.arange(500, dtype=np.float32))
            return D.range(3).map(lambda x: weight * tf.gather(big, x))
        dataset = make()
        gc.collect()
        self.assertEqual(values(dataset), [0, 3, 6])

    def test_a_variable_is_read_when_elements_are_made(self):
        v = tf.Variable(1, dtype=tf.int64)
        dataset = D.range(2).map(lambda x: x + v)
        v.assign(10)
        self.assertEqual(values(dataset), [10, 11])

    def test_functions_are_traced_once(self):
        traced = []

        def f(x):
            traced.append(x)
            return x + 1
        dataset = D.range(100).map(f, num_parallel_calls=4)
        self.assertEqual([sum(values(dataset)), sum(values(dataset)), len(traced)], [5050, 5050, 1])

    def test_python_does_not_read_datasets_in_traced_functions(self):
        for read in (list, lambda d: [x for x in d], lambda d: [x for x in iter(d)], sum):
            with self.assertRaisesRegex(ValueError, "unusually high number"):
                tf.function(lambda read=read: read(D.range(2)))()
        iterator = iter(D.range(2))
        with self.assertRaisesRegex(ValueError, "unusually high number"):
            tf.function(lambda: list(iterator))()


class ErrorsTest(unittest.TestCase):
    class Own(Exception):
        pass

    def failing(self):
        yield 1
        raise self.Own("mine")

    def test_save_replaces_datasets_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "mine.txt")
            with open(other, "w", encoding="utf-8") as file:
                file.write("mine")
            for path in (folder, other):
                with self.assertRaises(tf.errors.AlreadyExistsError):
                    D.range(3).save(path)
            self.assertEqual(os.listdir(folder), ["mine.txt"])
            path = os.path.join(folder, "kept")
            os.mkdir(path)
            for count in (3, 5):
                D.range(count).save(path)
                self.assertEqual([int(x) for x in D.load(path)], list(range(count)))

    def test_what_generators_raise_comes_out_as_it_is(self):
        source = D.from_generator(self.failing, output_signature=INT)
        for dataset in (source, source.prefetch(2), source.map(lambda x: x, num_parallel_calls=3), source.batch(1).prefetch(1),
                        source.repeat(), D.range(2).flat_map(lambda _: source), D.zip((source, D.range(5)))):
            seen = []
            try:
                for x in dataset:
                    seen.append(x)
                self.fail("no error")
            except self.Own as error:
                self.assertEqual(error.args, ("mine",))
                self.assertIn("failing", [frame.name for frame in traceback.extract_tb(error.__traceback__)])
            self.assertEqual(len(seen), 1)

    def test_what_functions_raise_while_they_are_traced_comes_out_as_it_is(self):
        def f(x):
            raise self.Own("traced")
        for step in (D.map, D.filter, D.flat_map, D.interleave):
            with self.assertRaisesRegex(self.Own, "traced"):
                step(D.range(2), f)
        self.assertFalse(tf.raw_ops.Add(x=1, y=1).is_symbolic)

    def test_an_error_ends_the_pass(self):
        for threads in (None, 4):
            iterator = iter(D.range(-1, 3).map(lambda x: 10 // x, num_parallel_calls=threads))
            self.assertEqual(next(iterator).numpy(), -10)
            with self.assertRaises(tf.errors.InvalidArgumentError):
                next(iterator)
            self.assertEqual(list(iterator), [])

    def test_messages_say_what_a_generator_yielded(self):
        cases = [(lambda: iter([[1, 2]]), INT, r"an element of shape \(2,\) where an element of shape \(\) was expected"),
                 (lambda: iter(["a"]), INT, "The expected type was int32, but the yielded element was a"),
                 (lambda: iter([1]), (INT, INT), "did not match the expected structure"),
                 (lambda: iter([{"b": 1}]), {"a": INT}, "did not match the expected structure")]
        for generator, signature, text in cases:
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, text):
                list(D.from_generator(generator, output_signature=signature))

    def test_keyboard_interrupt(self):
        def interrupted():
            yield 1
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            list(D.from_generator(interrupted, output_signature=INT))


class ThreadsTest(unittest.TestCase):
    def test_order_for_any_number_of_threads(self):
        want = [x * x for x in range(200)]
        for threads in (1, 2, 5, 32, tf.data.AUTOTUNE):
            self.assertEqual(values(D.range(200).map(lambda x: x * x, num_parallel_calls=threads)), want)

    def test_python_threads_read_iterators_of_their_own(self):
        source = D.from_generator(lambda: iter(range(50)), output_signature=INT).map(lambda x: x + 1, 2).batch(7).prefetch(2)
        sums = []

        def read():
            sums.append(sum(int(tf.reduce_sum(x)) for x in source))
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sums, [1275] * 4)

    def test_one_iterator_read_by_threads_gives_each_element_once(self):
        iterator, seen = iter(D.range(400).map(lambda x: x, 3).prefetch(4)), []

        def read():
            for x in iterator:
                seen.append(int(x))
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(seen), list(range(400)))

    def test_iterators_dropped_half_way_stop_their_threads(self):
        alive = []

        def endless():
            marker = type("Marker", (), {})()
            alive.append(weakref.ref(marker))
            while marker:
                yield 1
        dataset = D.from_generator(endless, output_signature=INT).map(lambda x: x, num_parallel_calls=3).prefetch(2)
        next(iter(dataset))
        before = threads_at_most(0)
        for _ in range(5):
            next(iter(dataset))
        gc.collect()
        self.assertLessEqual(threads_at_most(before), before)
        self.assertEqual([ref() for ref in alive], [None] * 6)

    def test_an_iterator_in_a_cycle_may_die_on_a_thread_of_its_own(self):
        def collecting():
            while True:
                gc.collect()
                yield 1
        dataset = D.from_generator(collecting, output_signature=INT).prefetch(1)
        for _ in range(3):
            cycle = [iter(dataset)]
            next(cycle[0])
            cycle.append(cycle)
            del cycle
        self.assertEqual(next(iter(D.range(1))).numpy(), 0)

    def test_datasets_of_methods_are_collected(self):
        class Loader:
            def __init__(self):
                self.scale = tf.Variable(2, dtype=tf.int32)
                self.dataset = D.from_generator(self.rows, output_signature=INT).map(self.scaled).batch(2).prefetch(1)

            def rows(self):
                yield from range(3)

            def scaled(self, x):
                return x * self.scale
        loader = Loader()
        self.assertEqual(values(loader.dataset), [[0, 2], [4]])
        dataset, alive = loader.dataset, weakref.ref(loader)
        del loader
        gc.collect()
        self.assertEqual(values(dataset), [[0, 2], [4]])
        del dataset
        gc.collect()
        self.assertIsNone(alive())

    def test_generators_may_read_datasets(self):
        inner = D.range(5).map(lambda x: x * 2, num_parallel_calls=2).prefetch(1)

        def whole():
            yield from map(int, inner)
            yield int(next(iter(inner.skip(1))))  # dropped half-way, by a thread of the pipeline around it
        outer = D.from_generator(whole, output_signature=INT).prefetch(2).map(lambda x: x + 1, num_parallel_calls=3)
        for _ in range(3):
            self.assertEqual(values(outer), [1, 3, 5, 7, 9, 3])

    def test_nothing_is_left(self):
        def grown():
            for x in D.range(200).map(lambda x: x + 1, num_parallel_calls=2).batch(10).prefetch(2):
                pass
            next(iter(D.range(10 ** 6).shuffle(100).prefetch(2)))
            gc.collect()
            return resident()
        grown()
        first = grown()
        for _ in range(15):
            last = grown()
        self.assertLess(last - first, 8 << 20)

    def test_a_program_ends_with_pipelines_under_way(self):
        code = ("import time, tenon.tf as tf\n"
                "def g():\n    while True:\n        yield 1\n"
                "it = iter(tf.data.Dataset.from_generator(g, output_signature=tf.TensorSpec([], tf.int32)).map(lambda x: x, 2)"
                ".prefetch(2))\nprint(next(it).numpy())\n")
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"), done.stderr)
        self.assertLess(time.monotonic() - start, 30)


def threads_at_most(most):
    """How many threads there are, once they are so few or a second has passed: the system forgets joined ones late."""
    end = time.monotonic() + 1
    while True:
        count = len(os.listdir("/proc/self/task"))
        if count <= most or time.monotonic() > end:
            return count
        time.sleep(.01)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
