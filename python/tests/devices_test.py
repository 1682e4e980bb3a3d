"""Devices of plug-ins, with the one of the tests (plugins/lazy) in the place of two GPUs: what is placed where, and that the
answers are NumPy's, or those of the processor."""
import os
import subprocess
import sys
import tempfile
import threading
import unittest

PACKAGES = os.environ.get("PYTHONPATH", "").split(":")[0]
LAZY = os.path.join(os.path.dirname(PACKAGES), "plugins", "lazy.so")
os.environ |= {"KERAS_BACKEND": "tenon", "TENON_PLUGIN_PATH": LAZY}
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())

import numpy as np  # noqa: E402

import tenon.tf as tf  # noqa: E402

TASK = "/job:localhost/replica:0/task:0"
RNG = np.random.default_rng(3)


def setUpModule():
    if not os.path.exists(LAZY):
        raise unittest.SkipTest(f"{LAZY} is not built")


def place(value):
    return value.device[len(TASK):]


def program(code, **environment):
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-B", "-c", "import tenon.tf as tf\n" + code], capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if k != "TENON_PLUGIN_PATH"} | environment)
    return (done.stdout + done.stderr.strip()[-400:]).splitlines()


class ConfigTest(unittest.TestCase):
    def test_names_are_tensorflows(self):
        found = tf.config.list_physical_devices()
        self.assertEqual(repr(found[:2]), "[PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU'), "
                                          "PhysicalDevice(name='/physical_device:LAZY:0', device_type='LAZY')]")
        self.assertEqual(len(tf.config.list_physical_devices("LAZY")), 2)
        self.assertEqual(tf.config.list_physical_devices("GPU"), [])
        self.assertEqual([d.name for d in tf.config.list_logical_devices()], ["/device:CPU:0", "/device:LAZY:0", "/device:LAZY:1"])
        self.assertFalse(tf.test.is_gpu_available())
        self.assertEqual(tf.test.gpu_device_name(), "")

    def test_only_some_are_seen(self):
        lines = program("""
lazy = tf.config.list_physical_devices("LAZY")
tf.config.experimental.set_memory_growth(lazy[0], True)
tf.config.set_visible_devices(lazy[1], "LAZY")
print(tf.config.experimental.get_memory_growth(lazy[0]), tf.config.get_visible_devices("LAZY") == lazy[1:])
print(tf.config.list_logical_devices("LAZY"))
print(tf.function(lambda x: x * 2, autograph=False)(tf.constant([1.0])).device)
tf.config.set_visible_devices(lazy[1], "LAZY")
for call in (lambda: tf.config.set_visible_devices([], "LAZY"), lambda: tf.config.experimental.set_memory_growth(lazy[1], True)):
    try:
        call()
    except RuntimeError as error:
        print(error)
""", TENON_PLUGIN_PATH=LAZY)
        self.assertEqual(lines, [
            "True True", "[LogicalDevice(name='/device:LAZY:0', device_type='LAZY')]", TASK + "/device:LAZY:0",
            "Visible devices cannot be modified after being initialized",
            "Physical devices cannot be modified after being initialized"])

    def test_none_and_one_that_is_named_and_missing(self):
        code = "print(tf.config.list_physical_devices('GPU'), tf.function(lambda x: x + 1, autograph=False)(tf.constant([1.0])).device)"
        self.assertEqual(program(code), [f"[] {TASK}/device:CPU:0"])
        self.assertEqual(program(code + "; print(tf.distribute.MirroredStrategy().num_replicas_in_sync)",
                                 TENON_PLUGIN_PATH=LAZY, TENON_DEVICE="CPU"), [f"[] {TASK}/device:CPU:0", "1"])
        self.assertIn("/nowhere/absent.so", program(code, TENON_PLUGIN_PATH="/nowhere/absent.so")[-1])

    def test_names_of_devices(self):
        self.assertEqual(tf.DeviceSpec.from_string("/job:a/gpu:1").to_string(), "/job:a/device:GPU:1")
        with self.assertRaisesRegex(ValueError, "Unknown attribute 'foo' is encountered while parsing the device spec: 'foo'"):
            tf.device("foo")
        tf.config.set_soft_device_placement(False)
        try:
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "device:GPU:3"):
                tf.device("/GPU:3")
        finally:
            tf.config.set_soft_device_placement(True)
        with tf.device("/GPU:3"):  # soft placement
            self.assertEqual(float(tf.constant(1.0) + 1.0), 2.0)


class PlacementTest(unittest.TestCase):
    def setUp(self):
        self.a, self.b = RNG.random((7, 5), "float32"), RNG.random((5, 3), "float32")

    def test_functions_run_on_the_first_device(self):
        @tf.function
        def product(a, b):
            return tf.matmul(a, b)

        found = product(self.a, self.b)
        self.assertEqual(place(found), "/device:LAZY:0")
        np.testing.assert_allclose(found, self.a @ self.b, rtol=1e-6)
        with tf.device("/CPU:0"):
            self.assertEqual(place(product(self.a, self.b)), "/device:CPU:0")
        with tf.device("LAZY:1"):
            self.assertEqual(place(product(self.a, self.b)), "/device:LAZY:1")
            with tf.device(None):
                self.assertEqual(place(product(self.a, self.b)), "/device:LAZY:0")

    def test_a_function_says_where_it_runs(self):
        @tf.function
        def here(x):
            with tf.device("/LAZY:1"):
                return x * 2.0

        @tf.function
        def on_the_processor(x):
            with tf.device("/cpu:0"):
                return x * 2.0

        self.assertEqual(place(here(self.a)), "/device:LAZY:1")
        self.assertEqual(place(on_the_processor(self.a)), "/device:CPU:0")

    def test_ops_run_where_their_arguments_are(self):
        on_device = tf.function(lambda x: x + 1.0)(self.a)
        self.assertEqual(place(on_device * 2.0), "/device:LAZY:0")
        self.assertEqual(place(tf.constant(self.a) * 2.0), "/device:CPU:0")
        np.testing.assert_allclose(tf.transpose(on_device), (self.a + 1).T)
        np.testing.assert_allclose(tf.reshape(on_device, tf.function(lambda: tf.constant([5, 7]) * 1)()), (self.a + 1).reshape(5, 7))
        np.testing.assert_allclose(on_device[2:4, 1], (self.a + 1)[2:4, 1])
        self.assertEqual(float(on_device[0, 0]), self.a[0, 0] + 1)
        self.assertTrue(tf.reduce_all(on_device > 0.5))
        np.testing.assert_array_equal(memoryview(on_device), self.a + 1)
        np.testing.assert_array_equal(np.from_dlpack(on_device), self.a + 1)
        np.testing.assert_array_equal(list(tf.data.Dataset.from_tensor_slices(on_device)), self.a + 1)
        with tf.device("/LAZY:1"):
            self.assertEqual(place(tf.constant([1.5]) + 1.0), "/device:LAZY:1")
            self.assertEqual(place(on_device - 1.0), "/device:LAZY:1")

    def test_gradients(self):
        v = tf.Variable(self.b)
        f = tf.function(lambda x: tf.matmul(x, v) ** 2)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(f(self.a))
        want = 2 * self.a.T @ (self.a @ self.b)
        np.testing.assert_allclose(tape.gradient(loss, v), want, rtol=1e-5)

    def test_variables(self):
        v = tf.Variable([1.0, 2.0])
        step = tf.function(lambda x: v.assign_add(x).read_value() * 2.0)
        self.assertEqual(place(v), "/device:CPU:0")
        np.testing.assert_array_equal(step([1.0, 1.0]), [4, 6])
        self.assertEqual(place(v), "/device:LAZY:0")
        np.testing.assert_array_equal(v.numpy(), [2, 3])
        v.assign_add([-1.0, -1.0])
        self.assertEqual(place(v + 1.0), "/device:LAZY:0")
        v.assign([5.0, 6.0])
        np.testing.assert_array_equal(step([1.0, 1.0]), [12, 14])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(v * v)
        np.testing.assert_array_equal(tape.gradient(loss, v), [12, 14])
        with tf.device("/LAZY:1"):
            self.assertEqual(place(tf.Variable([1.0])), "/device:LAZY:1")

    def test_threads(self):
        f, found = tf.function(lambda x: tf.reduce_sum(x * x)), {}

        def work(i):
            found[i] = [float(f(tf.fill([50 + i], float(i)))) for _ in range(20)]

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {i: [(50 + i) * i * i] * 20 for i in range(4)})


X = RNG.random((90, 8, 8, 1), "float32")
Y = X.reshape(90, 64)[:, :10].argmax(1)


def fit(strategy=None, device=None, rows=90):
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(4)
    with strategy.scope() if strategy else tf.device(device):
        model = tf.keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(),
                                     layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.2), layers.Dense(10)])
        model.compile(tf.keras.optimizers.Adam(0.01), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                      metrics=["accuracy"])
        history = model.fit(X[:rows], Y[:rows], batch_size=32, epochs=3, shuffle=False, verbose=0).history
        numbers = history["loss"] + history["accuracy"] + model.evaluate(X, Y, batch_size=32, verbose=0)
        return model, np.array(numbers), model.predict(X, batch_size=32, verbose=0)


class KerasTest(unittest.TestCase):
    def test_fit_is_the_processors(self):
        model, numbers, predicted = fit()
        _, want, wanted = fit(device="/CPU:0")
        self.assertEqual({place(w.value) for w in model.trainable_weights}, {"/device:LAZY:0"})
        np.testing.assert_allclose(numbers, want, rtol=1e-5)
        np.testing.assert_allclose(predicted, wanted, rtol=1e-3, atol=1e-4)

    def test_replicas_are_those_of_two_processors(self):
        strategy = tf.distribute.MirroredStrategy()
        self.assertEqual(strategy.num_replicas_in_sync, 2)
        self.assertEqual(strategy.extended.worker_devices, (TASK + "/device:LAZY:0", TASK + "/device:LAZY:1"))
        for rows in (90, 65):  # the last batch has 26 rows, or one, which is one replica's
            model, numbers, predicted = fit(strategy, rows=rows)
            _, want, wanted = fit(tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]), rows=rows)
            np.testing.assert_allclose(numbers, want, rtol=1e-5)
            np.testing.assert_allclose(predicted, wanted, rtol=1e-3, atol=1e-4)
        kernel = strategy.experimental_local_results(model.trainable_weights[0].value)
        self.assertEqual([place(each) for each in kernel], ["/device:LAZY:0", "/device:LAZY:1"])
        np.testing.assert_array_equal(*kernel)

    def test_replicas_of_a_function(self):
        strategy = tf.distribute.MirroredStrategy()
        with strategy.scope():
            v = tf.Variable(1.0, aggregation=tf.VariableAggregation.MEAN)
            count = tf.Variable(0.0, synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.SUM)

        def replica(x):
            count.assign_add(tf.reduce_sum(x))
            total = tf.distribute.get_replica_context().all_reduce("SUM", tf.reduce_sum(x))
            v.assign_add(total * (1.0 + tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)))
            return x * v

        @tf.function
        def step(x):
            results = strategy.run(replica, (x,))
            return strategy.gather(results, 0), strategy.reduce("SUM", results, axis=0)

        x = strategy.experimental_distribute_values_from_function(lambda c: tf.constant([1.0, 2.0]) + c.replica_id_in_sync_group)
        gathered, total = step(x)
        np.testing.assert_array_equal(gathered, np.array([1, 2, 2, 3]) * 13.0)  # 1 + (8 + 16) / 2
        self.assertEqual(float(total), 8 * 13)
        self.assertEqual(float(count), 8)
        self.assertEqual(float(step(x)[1]), 8 * 25)

    def test_a_replica_that_fails_releases_the_others(self):
        strategy = tf.distribute.MirroredStrategy()
        with strategy.scope():
            v = tf.Variable([1.0, 2.0])

        def replica(i):
            total = tf.distribute.get_replica_context().all_reduce("SUM", tf.gather(v, i))
            v.assign_add([total, total])
            return total

        step = tf.function(lambda i: strategy.reduce("MEAN", strategy.run(replica, (i,)), None), autograph=False)
        rows = [strategy.experimental_distribute_values_from_function(lambda c, n=n: tf.constant(n[c.replica_id_in_sync_group]))
                for n in ((0, 1), (0, 7))]
        self.assertEqual(float(step(rows[0])), 3)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "replica 1 of 2: .*7 is not in"):
            step(rows[1])
        with self.assertRaises(tf.errors.FailedPreconditionError):  # what is of the sums may be anything
            step(rows[0])
        v.assign([1.0, 2.0])
        self.assertEqual([float(step(rows[0])), float(step(rows[0]))], [3, 9])


if __name__ == "__main__":
    unittest.main()
