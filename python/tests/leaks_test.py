"""What must not grow: memory over many steps, calls and models; and models that several threads or processes use at once."""
import gc
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import weakref

os.environ["KERAS_BACKEND"] = "tenon"
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())
import numpy as np

import tenon.tf as tf

keras = tf.keras


def resident():
    """MiB of this process's memory, after what Python lets go of has gone."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def model_of(units=4):
    model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def answer(model, x):
    return model.predict(x, verbose=0)


class MemoryTest(unittest.TestCase):
    def flat(self, work, count, most=4.0):
        """`work` leaves no more memory behind when it is done `count` times than at first."""
        for _ in range(max(20, count // 10)):
            work()
        before = resident()
        for _ in range(count):
            work()
        self.assertLess(resident() - before, most)

    def test_ten_thousand_steps(self):
        w = tf.Variable(tf.zeros([8, 1]))
        optimizer = keras.optimizers.Adam()
        optimizer.build([w])

        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((x @ w - 1.) ** 2)
            optimizer.apply_gradients([(tape.gradient(loss, w), w)])
            return loss

        x = tf.ones([4, 8])
        self.flat(lambda: step(x), 10_000)

    def test_ten_thousand_calls_are_one_trace(self):
        @tf.function
        def twice(x):
            return x * 2

        rng = np.random.default_rng(0)
        self.flat(lambda: twice(rng.random(3, np.float32)), 10_000)
        self.assertEqual(twice.experimental_get_tracing_count(), 1)

    def test_eager_gradients(self):
        x = tf.Variable([1., 2.])

        def work():
            with tf.GradientTape() as tape:
                y = tf.reduce_sum(x * x)
            tape.gradient(y, x)

        self.flat(work, 5_000)

    def test_functions_that_are_dropped_leave_nothing(self):
        alive = []

        def work():
            kept = tf.Variable([1.])

            @tf.function
            def f(x):
                return x * kept
            f(tf.ones([1]))
            alive[:] = [weakref.ref(kept), weakref.ref(f)]

        self.flat(work, 500)
        gc.collect()
        self.assertEqual([each() for each in alive], [None, None])

    def test_models_that_are_dropped_leave_nothing(self):
        x = np.ones((4, 8), np.float32)
        alive = []

        def work():
            model = model_of()
            model.train_on_batch(x, x[:, :1])
            alive[:] = [weakref.ref(model), weakref.ref(model.weights[0])]

        self.flat(work, int(os.environ.get("TENON_LEAK_MODELS", 100)), 8.0)
        gc.collect()
        self.assertEqual([each() for each in alive], [None, None])


class ThreadsTest(unittest.TestCase):
    def test_eight_threads_predict_at_once(self):
        model = model_of(16)
        given = [np.random.default_rng(i).random((i + 1, 8), np.float32) for i in range(8)]
        want = [answer(model, x) for x in given]
        wrong = []

        def work(i):
            for _ in range(5):
                if not np.array_equal(answer(model, given[i]), want[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


def _in_child(queue, folder):
    model = keras.models.load_model(os.path.join(folder, "m.keras"))
    queue.put(answer(model, np.ones((2, 8), np.float32)).tolist())


class ProcessesTest(unittest.TestCase):
    def test_a_spawned_process_has_the_same_model(self):
        with tempfile.TemporaryDirectory() as folder:
            model = model_of()
            model.save(os.path.join(folder, "m.keras"))
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            child = context.Process(target=_in_child, args=(queue, folder))
            child.start()
            found = queue.get(timeout=120)
            child.join()
        self.assertEqual(found, answer(model, np.ones((2, 8), np.float32)).tolist())

    def test_a_forked_process_goes_on_with_what_it_had(self):
        script = """
import os, sys
import tenon.tf as tf
a = tf.random.uniform([300, 300])
want = tf.reduce_sum(a @ a).numpy()
child = os.fork()
if child == 0:
    os._exit(0 if tf.reduce_sum(a @ a).numpy() == want else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
