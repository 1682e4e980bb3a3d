"""Keras on Tenon: the numbers of Keras on TensorFlow (keras_truth.json), and the import hook."""
import ast
import json
import os
import shutil
import sys
import tempfile
import unittest

HOME = tempfile.mkdtemp()
os.environ.update(KERAS_BACKEND="tenon", KERAS_HOME=HOME)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy as np  # noqa: E402

import tenon  # noqa: E402,F401
import tenon.tf as tf  # noqa: E402
import keras  # noqa: E402
import keras_cases  # noqa: E402
from keras_tenon import hook  # noqa: E402

# Numbers of 10 and 8 bits are rounded in another order.
TOLERANCE = {"mixed_precision": 2e-3}


class SameNumbers(unittest.TestCase):
    """Filled below, a test for each case."""


def _add_cases():
    with open(keras_cases.TRUTH) as file:
        truth = json.load(file)

    def test_of(name):
        def test(self):
            found = keras_cases._plain(keras_cases.run(keras, name))
            self.assertEqual(set(found), set(truth[name]))
            for part, expected in truth[name].items():
                with self.subTest(part):
                    self.assertLess(keras_cases.difference(found[part], expected), TOLERANCE.get(name, 1e-5))
        return test

    for name in keras_cases.CASES:
        setattr(SameNumbers, f"test_{name}", test_of(name))


_add_cases()


def _model():
    layers = keras.layers
    return keras.Sequential([layers.Input((5,)), layers.Dense(4, activation="relu"), layers.BatchNormalization(),
                             layers.Dense(2)])


class Training(unittest.TestCase):
    def test_one_trace(self):
        """Batches of any size, in several epochs and calls, are one trace for each method and structure."""
        traces = []

        class Noted(keras.layers.Layer):
            def call(self, x, training=False):
                traces.append(training)
                return x

        model = keras.Sequential([keras.layers.Input((3,)), Noted(), keras.layers.Dense(1)])
        traces.clear()
        model.compile("adam", "mse")
        x = np.ones((25, 3), "float32")
        model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0)
        self.assertEqual(traces, [True])
        for rows in (5, 9):
            model.train_on_batch(x[:rows], x[:rows, :1])
        self.assertEqual(traces, [True, True])
        model.evaluate(x, x[:, :1], batch_size=4, verbose=0)
        self.assertEqual(traces, [True, True, False])

    def test_dataset(self):
        """What gives batches as tf.data does, is fed batch by batch."""
        x = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")

        class Dataset:
            element_spec = (tenon.TensorSpec([None, 5]), tenon.TensorSpec([None, 2]))

            def __iter__(self):
                return iter([(tenon.constant(x[i:i + 8]), tenon.constant(x[i:i + 8, :2])) for i in (0, 8, 16)])

            def as_numpy_iterator(self):
                raise NotImplementedError

            def cardinality(self):
                return tenon.constant(3)

        results = []
        for data in ({"x": Dataset(), "validation_data": Dataset()},
                     {"x": x, "y": x[:, :2], "batch_size": 8, "shuffle": False, "validation_data": (x, x[:, :2])}):
            keras.utils.set_random_seed(3)
            model = _model()
            model.compile("adam", "mse")
            results.append(model.fit(**data, epochs=2, verbose=0).history)
        for name, values in results[0].items():
            np.testing.assert_allclose(values, results[1][name], rtol=1e-6)
        self.assertEqual(model.predict(Dataset(), verbose=0).shape, (20, 2))

    def test_saving(self):
        model = _model()
        model.compile("adam", "mse")
        x = np.random.default_rng(0).normal(size=(16, 5)).astype("float32")
        model.fit(x, x[:, :2], verbose=0)
        expected = model.predict(x, verbose=0)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.save(path)
            again = keras.models.load_model(path)
            np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
            np.testing.assert_array_equal(again.optimizer.iterations.numpy(), 1)
            path = os.path.join(folder, "exported")
            model.export(path, verbose=False)
            found = tenon.saved_model.load(path).signatures["serving_default"](x)
            np.testing.assert_allclose(found["output_0"].numpy(), expected, rtol=1e-6)
            layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
            tuned = keras.Sequential([keras.Input((5,)), layer])
            np.testing.assert_allclose(tuned.predict(x, verbose=0), expected, rtol=1e-6)
            self.assertEqual(len(layer.trainable_weights), len(model.trainable_weights))
            tuned.compile("sgd", "mse")
            losses = tuned.fit(x, x[:, :2], epochs=3, verbose=0).history["loss"]
            self.assertLess(losses[2], losses[0])

    def test_a_checkpoint_is_restored_before_the_model_is_built(self):
        class Net(keras.Model):
            def __init__(self):
                super().__init__()
                self.hidden = keras.layers.Dense(5)

            def call(self, x):
                return self.hidden(x)

        def step(net, optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(net(tf.ones([2, 1])) ** 2)
            optimizer.apply_gradients(zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables))
            return float(loss)

        net, optimizer = Net(), keras.optimizers.Adam(0.1)
        step(net, optimizer)
        with tempfile.TemporaryDirectory() as folder:
            path = tf.train.Checkpoint(optimizer=optimizer, net=net).save(folder + "/c")
            losses = [step(net, optimizer) for _ in range(3)]
            again, its_optimizer = Net(), keras.optimizers.Adam(0.1)
            tf.train.Checkpoint(optimizer=its_optimizer, net=again).restore(path)
            self.assertEqual([step(again, its_optimizer) for _ in range(3)], losses)
            self.assertEqual(len(again.trainable_variables), 2)

    def test_gradient_of_functions_in_a_step(self):
        """Keras compiles grouped convolutions by a function of their own, which uses tensors of the step around it."""
        layer = keras.layers.Conv2D(4, 2, groups=2, use_bias=False, kernel_initializer="ones")
        x = np.arange(2 * 3 * 3 * 4, dtype="float32").reshape(2, 3, 3, 4)
        eager = layer(x).numpy()
        np.testing.assert_allclose(tenon.function(lambda v: layer(v))(tenon.constant(x)).numpy(), eager)
        np.testing.assert_allclose(eager[..., 0], sum(
            x[:, i:i + 2, j:j + 2, :2].sum(-1) for i in (0, 1) for j in (0, 1)))


class Hook(unittest.TestCase):
    def test_backend(self):
        self.assertEqual(keras.backend.backend(), "tenon")
        self.assertNotIn("tensorflow", sys.modules)
        self.assertIs(sys.modules["keras.src.backend.tenon.trainer"], sys.modules["keras_tenon.src.trainer"])

    def test_keras_has_changed(self):
        """A chain that is not found is an error that names the version."""
        for module, what in (("keras.src.layers.layer", "chain"), ("keras.src.utils.module_utils", "lazy module"),
                             ("keras.src.export.saved_model_export_archive", "list"),
                             ("keras.src.utils.backend_utils", "chain")):
            with self.assertRaisesRegex(ImportError, rf"Keras {keras.__version__} .*{module} has no {what}"):
                hook.transform(module, ast.parse("if backend() == 'jax':\n    import jax\nx = 1\n"))

    def test_branch(self):
        """TensorFlow's branch stays; ours is TensorFlow's with the name changed."""
        source = ("if backend() == 'tensorflow':\n    from keras.src.backend.tensorflow.layer import TFLayer as Base\n"
                  "elif backend() == 'jax':\n    from keras.src.backend.jax.layer import JaxLayer as Base\n")
        changed = ast.unparse(hook.transform("keras.src.layers.layer", ast.parse(source)))
        self.assertTrue(changed.startswith("if backend() == 'tenon':\n    from keras.src.backend.tenon.layer import "
                                           "TFLayer as Base\nelif backend() == 'tensorflow':\n"), changed)

    def test_other_backends_are_left_alone(self):
        os.environ["KERAS_BACKEND"] = "jax"
        try:
            self.assertIsNone(hook.Finder().find_spec("keras.src.layers.layer"))
        finally:
            os.environ["KERAS_BACKEND"] = "tenon"

    def test_tf_keras(self):
        import tenon.tf as tf
        from tenon.tf.keras.layers import Dense
        self.assertIs(tf.keras.layers.Dense, keras.layers.Dense)
        self.assertIs(Dense, keras.layers.Dense)
        self.assertIs(tf.optimizers.Adam, keras.optimizers.Adam)

    def test_missing_names(self):
        from keras_tenon import private_names
        with self.assertRaisesRegex(AttributeError, f"Keras {keras.__version__} takes 'something'"):
            private_names.something
        import tenon.tf as tf
        with self.assertRaisesRegex(AttributeError, "Tenon has no 'tf.sparse.something'"):
            tf.sparse.something


class Names(unittest.TestCase):
    """What the backend asks of tenon.tf beyond its own tests; the numbers are NumPy's or written out."""

    def test_static_shapes(self):
        """A shape given by numbers and by a dimension that is not known keeps the numbers."""
        import tenon.tf as tf
        seen = []

        @tf.function(input_signature=[tf.TensorSpec([None, 5])])
        def f(x):
            rows = tf.shape(x)[0]
            seen.extend([tf.zeros((rows, 6)).shape, tf.reshape(x, (rows, 5, 1)).shape, tf.tile(x, [1, 3]).shape,
                         tf.ones(tf.concat([tf.shape(x)[:1], [7]], 0)).shape, tf.random.uniform([rows, 2]).shape])
            self.assertEqual(tf.get_static_value(tf.shape(x)[1]), 5)
            seen.append(tf.tensordot(x[:, None], tf.ones((5, 4)), 1).shape)
            return tf.zeros((rows, 6))

        self.assertEqual(f(tf.zeros((3, 5))).shape, (3, 6))
        self.assertEqual([tuple(s) for s in seen], [(None, 6), (None, 5, 1), (None, 15), (None, 7), (None, 2),
                                                    (None, 1, 4)])

    def test_tensor_array_in_a_loop(self):
        """Its gradient too: d sum((i + 1) * x[i]^2) / dx = 2 (i + 1) x."""
        import tenon.tf as tf

        @tf.function
        def f(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                rows = tf.TensorArray(tf.float32, size=tf.shape(x)[0]).unstack(x)
                out = tf.TensorArray(tf.float32, size=tf.shape(x)[0], element_shape=())
                _, out = tf.while_loop(lambda i, _: i < tf.shape(x)[0], lambda i, out: (
                    i + 1, out.write(i, tf.cast(i + 1, tf.float32) * rows.read(i) ** 2)), (0, out))
                total = tf.reduce_sum(out.stack())
            return total, tape.gradient(total, x)

        total, gradient = f(tf.constant([1., 2., 3.]))
        self.assertEqual(float(total), 1 + 8 + 27)
        np.testing.assert_allclose(gradient.numpy(), [2, 8, 18])

    def test_functional(self):
        import tenon.tf as tf
        x = tf.constant([[1., 2.], [3., 4.], [5., 6.]])
        for run in (lambda f: f, tf.function):
            np.testing.assert_allclose(run(lambda v: tf.map_fn(tf.reduce_sum, v))(x).numpy(), [3, 7, 11])
            np.testing.assert_allclose(run(lambda v: tf.scan(lambda a, b: a + b, v))(x).numpy(), [[1, 2], [4, 6], [9, 12]])
            np.testing.assert_allclose(run(lambda v: tf.vectorized_map(lambda p: p[0] * p[1], (v, v[:1])))(x).numpy(),
                                       [[1, 4], [3, 8], [5, 12]])
        accumulator = tf.autodiff.ForwardAccumulator(x, tf.ones_like(x))
        with accumulator:
            y = x ** 3
        np.testing.assert_allclose(accumulator.jvp(y).numpy(), 3 * x.numpy() ** 2)
        cube = tf.recompute_grad(lambda v: v ** 3)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = cube(x)
        np.testing.assert_allclose(tape.gradient(y, x).numpy(), 3 * x.numpy() ** 2)

    def test_signal(self):
        import tenon.tf as tf
        x = np.random.default_rng(0).normal(size=64).astype("float32")
        window = tf.signal.hann_window(16)
        np.testing.assert_allclose(window.numpy(), np.hanning(17)[:16], atol=1e-6)
        frames = np.lib.stride_tricks.sliding_window_view(x, 16)[::4] * window.numpy()
        np.testing.assert_allclose(tf.signal.stft(x, 16, 4).numpy(), np.fft.rfft(frames), atol=1e-5)
        inverse = tf.signal.inverse_stft(tf.signal.stft(x, 16, 4), 16, 4,
                                         window_fn=tf.signal.inverse_stft_window_fn(4)).numpy()
        np.testing.assert_allclose(inverse[16:-16], x[16:len(inverse) - 16], atol=1e-5)

    def test_reshape_of_nothing(self):
        """What TensorFlow makes of -1 beside a 0."""
        import tenon.tf as tf
        for shape, wanted, found in (((0, 3), (0, -1), (0, 3)), ((2, 0, 4), (0, -1), (0, 8)), ((2, 0, 4), (-1, 0, 2), (4, 0, 2)),
                                     ((2, 0, 4), (-1, 0, 3), (2, 0, 3)), ((0,), (0, -1), (0, 1))):
            for reshape in (tf.reshape, tf.function(tf.reshape)):
                self.assertEqual(reshape(tf.zeros(shape), wanted).shape, found)
        with self.assertRaises(tf.errors.InvalidArgumentError):
            tf.reshape(tf.zeros((2, 3)), (0, -1))

    def test_linspace_and_einsum(self):
        import tenon.tf as tf
        np.testing.assert_allclose(tf.linspace([0., 1.], [1., 3.], 3, axis=-1).numpy(), [[0, .5, 1], [1, 2, 3]])
        self.assertEqual(tf.linspace(1., 2., 0).shape, (0,))
        a, b, c = (np.random.default_rng(i).normal(size=s) for i, s in enumerate(((2, 3), (3, 4), (4, 2))))
        for equation in ("ij,jk,ki->i", "ij,jk,kl", "ij, jk, ki"):
            np.testing.assert_allclose(tf.einsum(equation, a, b, c).numpy(), np.einsum(equation, a, b, c))

    def test_arrays(self):
        import tenon.tf as tf
        x = np.arange(24).reshape(2, 3, 4)
        np.testing.assert_array_equal(tf.repeat(x, [1, 0, 2], axis=1).numpy(), np.repeat(x, [1, 0, 2], axis=1))
        np.testing.assert_array_equal(tf.repeat(x, 2, axis=-1).numpy(), np.repeat(x, 2, axis=-1))
        mask = np.array([[True, False, True, False], [False] * 4, [True] * 4])
        np.testing.assert_array_equal(tf.boolean_mask(x, mask, axis=1).numpy(), x[:, mask])
        np.testing.assert_array_equal(tf.gather_nd(x, [[[2], [0]], [[1], [1]]], batch_dims=1).numpy(),
                                      np.stack([x[0][[2, 0]], x[1][[1, 1]]]))
        np.testing.assert_array_equal(tf.searchsorted([1, 3, 3, 5], [3, 4, 0], side="right").numpy(), [3, 3, 0])
        np.testing.assert_array_equal(tf.math.bincount([1, 1, 4], minlength=6).numpy(), [0, 2, 0, 0, 1, 0])
        np.testing.assert_array_equal(tf.sequence_mask([1, 3]).numpy(), [[1, 0, 0], [1, 1, 1]])
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "neither an argument nor a value around it"):
            leaked = []
            tf.function(lambda v: leaked.append(v) or v)(tf.constant(1.))
            tf.function(lambda v: v + leaked[0]).get_concrete_function(tf.constant(1.))


def tearDownModule():
    shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
