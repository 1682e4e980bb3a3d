"""Traced functions: when they are traced again, what they capture, what they refuse; SavedModels; structures."""
import gc
import os
import tempfile
import threading
import unittest
import weakref

import numpy as np

import tenon as tf
import tenon.tf as full

raw = tf.raw_ops
CASES = os.path.join(os.environ.get("TENON_SHARED", ""), "cases/models")


class RetracingTest(unittest.TestCase):
    def test_first_values_of_variables_that_are_made_inside(self):
        class Layer(full.Module):
            w = None

            @full.function
            def __call__(self, x):
                if self.w is None:
                    self.w = full.Variable(full.random.normal([x.shape[-1], 2]) * 0. + full.ones([2]) * 3.)
                return x @ self.w

        self.assertEqual(Layer()(tf.constant([[1., 2., 3.]])).tolist(), [[18., 18.]])
        made = []

        @full.function
        def of_argument(x):
            made.append(full.Variable(x + 1))

        with self.assertRaisesRegex(ValueError, "initial value"):
            of_argument(tf.constant(1.))

    def traces(self, calls, **options):
        f = tf.function(lambda *args, **kwargs: tf.constant(0), **options)
        for args in calls:
            f(*args)
        return f.experimental_get_tracing_count()

    def test_by_dtype_shape_structure_and_value(self):
        one, two = tf.constant([1.]), tf.constant([1., 2.])
        self.assertEqual(self.traces([(one,), (tf.constant([2.]),), (np.array([3.], np.float32),)]), 1)
        self.assertEqual(self.traces([(one,), (two,), (tf.constant([1]),)]), 3)
        self.assertEqual(self.traces([(1,), (1,), (2,), (1.0,), (True,), ("a",), (None,)]), 6)
        self.assertEqual(self.traces([([one, two],), ([one, two],), ((one, two),), ({"a": one},), ({"b": one},)]), 4)
        v, u = tf.Variable(1.), tf.Variable(1.)
        self.assertEqual(self.traces([(v,), (v,), (u,)]), 2)

    def test_reduce_retracing(self):
        calls = [(tf.constant(np.ones(n, np.float32)),) for n in range(1, 8)]
        self.assertEqual(self.traces(calls), 7)
        self.assertEqual(self.traces(calls, reduce_retracing=True), 2)

    def test_python_runs_when_traced_only(self):
        seen = []

        @tf.function
        def f(x, n=2):
            seen.append((x.shape, n))
            for _ in range(n):
                x = x + x
            return x
        self.assertEqual([f(tf.constant(1)).numpy(), f(tf.constant(5)).numpy(), f(tf.constant(1), n=3).numpy()], [4, 20, 8])
        self.assertEqual(len(seen), 2)

    def test_input_signature(self):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def f(x):
            self.assertEqual(x.shape.as_list(), [None, 2])
            return raw.Sum(input=x, axis=0)
        for rows in range(1, 5):
            self.assertEqual(f(np.ones((rows, 2), np.float32)).tolist(), [rows, rows])
        self.assertEqual(f.experimental_get_tracing_count(), 1)
        with self.assertRaisesRegex(TypeError, "input_signature"):
            f(np.ones((2, 3), np.float32))
        concrete = f.get_concrete_function()
        self.assertEqual(concrete.inputs[0].shape.as_list(), [None, 2])
        self.assertEqual(concrete(tf.constant([[1., 2.]])).tolist(), [1, 2])
        self.assertEqual(concrete.structured_outputs.shape.as_list(), [2])

    def test_structures_go_in_and_come_out(self):
        @tf.function
        def f(batch):
            return {"sum": batch["a"] + batch["b"][0], "rest": (batch["b"][1], None), "n": 3}
        out = f({"b": [tf.constant(2), tf.constant(5)], "a": tf.constant(1)})
        self.assertEqual((out["sum"].numpy(), out["rest"][0].numpy(), out["rest"][1], out["n"].numpy()), (3, 5, None, 3))

    def test_methods(self):
        class Model:
            def __init__(self, k):
                self.w = tf.Variable(k)

            @tf.function
            def scale(self, x):
                return x * self.w
        a, b = Model(2.), Model(3.)
        self.assertEqual([m.scale(tf.constant(5.)).numpy() for m in (a, b, a)], [10, 15, 10])
        gone = weakref.ref(a)
        del a
        gc.collect()
        self.assertIsNone(gone())


class TraceTest(unittest.TestCase):
    def test_captures(self):
        big, k = tf.constant(np.arange(300.)), tf.constant(7)
        v = tf.Variable(1.)

        @tf.function
        def f(x):
            return x + big * v.dtype.size, k + 1
        self.assertEqual(f(tf.constant(1., tf.float64))[0].numpy()[2], 9)
        self.assertEqual(f(tf.constant(1., tf.float64))[1].numpy(), 8)

    def test_variables_keep_the_order_of_python(self):
        v = tf.Variable(1.)

        @tf.function
        def f(x):
            before = v + 0.
            v.assign(x)
            between = v * 10.
            v.assign_add(1.)
            v.assign_sub(3.)
            return before, between, v.read_value()
        self.assertEqual([r.numpy() for r in f(tf.constant(5.))], [1, 50, 3])
        self.assertEqual(v.numpy(), 3)
        self.assertEqual([r.numpy() for r in f(tf.constant(6.))], [3, 60, 4])

    def test_nested_functions_share_variables(self):
        v = tf.Variable(1.)

        @tf.function
        def add(x):
            v.assign_add(x)
            return v * 2.

        @tf.function
        def twice(x):
            first = add(x)
            return first, add(x), v + 0.
        self.assertEqual([r.numpy() for r in twice(tf.constant(1.))], [4, 6, 3])
        self.assertEqual(v.numpy(), 3)

    def test_training_step(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(64, 3)).astype(np.float32)
        true = np.array([[1.], [-2.], [.5]], np.float32)
        w = tf.Variable(np.zeros((3, 1), np.float32))

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = raw.Mean(input=raw.SquaredDifference(x=x @ w, y=y), axis=[0, 1])
            w.assign_sub(.1 * tape.gradient(loss, w))
            return loss
        weights, want = np.zeros((3, 1)), []
        for _ in range(20):
            error = x @ weights - x @ true
            want.append(np.mean(error ** 2))
            weights -= .1 * 2 * x.T @ error / 64
        got = [step(x, x @ true).numpy() for _ in range(20)]
        np.testing.assert_allclose(got, want, rtol=1e-4)
        np.testing.assert_allclose(w.numpy(), weights, rtol=1e-4)

    def test_refusals(self):
        @tf.function(autograph=False)
        def branches(x):
            return x if x > 0 else -x

        @tf.function(input_signature=[tf.TensorSpec([None])])
        def iterates(x):
            return [y for y in x]

        @tf.function
        def prints(x):
            return x.numpy()
        errors = tf.errors
        for f, error, text in [(branches, errors.OperatorNotAllowedInGraphError, "as a Python `bool`"),
                               (prints, AttributeError, "numpy")]:
            with self.assertRaisesRegex(error, text):
                f(tf.constant(1.))
        with self.assertRaisesRegex(errors.OperatorNotAllowedInGraphError, "Iterating over"):
            iterates(tf.constant([1.]))
        with self.assertRaisesRegex(errors.InvalidArgumentError, "MatMul"):
            tf.function(lambda x: x @ x)(tf.constant([[1., 2.]]))
        self.assertTrue(tf.executing_eagerly())
        leaked = []
        tf.function(lambda x: leaked.append(x + 1) or x)(tf.constant(1))
        with self.assertRaises(TypeError):
            _ = leaked[0] + 1

    def test_init_scope(self):
        seen = []

        @tf.function
        def f(x):
            self.assertFalse(tf.executing_eagerly())
            with tf.init_scope():
                seen.append(tf.constant(2) + 3)
            return x + seen[-1]
        self.assertEqual((f(tf.constant(1)).numpy(), seen[0].numpy()), (6, 5))

    def test_threads_run_one_function(self):
        v = tf.Variable(np.eye(16, dtype=np.float32) * 2)
        f = tf.function(lambda x: raw.Relu(features=x @ v))
        failures = []

        def work(seed):
            x = np.random.default_rng(seed).normal(size=(8 + seed, 16)).astype(np.float32)
            for _ in range(30):
                if not np.allclose(f(x).numpy(), np.maximum(x * 2, 0)):
                    failures.append(seed)
        threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((failures, f.experimental_get_tracing_count()), ([], 8))

    def test_traces_are_given_back(self):
        def resident():
            with open("/proc/self/statm", encoding="ascii") as f:
                return int(f.read().split()[1]) * 4096

        def loop(count):
            for i in range(count):
                v = tf.Variable(np.ones((64, 64), np.float32))
                f = tf.function(lambda x, v=v: raw.Tanh(x=x @ v) + 1.)
                f(tf.constant(np.ones((2, 64), np.float32)))
        loop(50)
        gc.collect()
        before = resident()
        loop(200)
        gc.collect()
        self.assertLess(resident() - before, 4 << 20)


class SavedModelTest(unittest.TestCase):
    def test_saves_and_loads(self):
        w, scale = tf.Variable([[1., 2.]], name="w"), tf.constant(np.full(2, 3., np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
        def serve(x):
            return {"y": x @ w * scale, "n": raw.Shape(input=x)[0]}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "1")
            tf.saved_model.save(None, path, signatures=serve)
            w.assign([[9., 9.]])
            loaded = tf.saved_model.load(path)
            signature = loaded.signatures["serving_default"]
            out = signature(x=tf.constant([[1.], [2.]]))
            self.assertEqual(sorted(out), ["n", "y"])
            self.assertEqual((out["y"].tolist(), out["n"].numpy()), ([[3, 6], [6, 12]], 2))
            with self.assertRaisesRegex(TypeError, "no input 'z'"):
                signature(z=1.)
        with self.assertRaisesRegex(OSError, "does not exist"):
            tf.saved_model.load("/nowhere")

    @unittest.skipUnless(os.path.isdir(CASES), "the reference cases are not on this machine")
    def test_models_of_tensorflow(self):
        """What TensorFlow answered: images, strings, loops."""
        for model in ["cnn_digits", "hashing_crosses", "lstm_embedding_masked"]:
            loaded = tf.saved_model.load(os.path.join(CASES, model, "1"))
            with np.load(os.path.join(CASES, model, "golden.npz")) as golden:
                calls = {}
                for key in golden.files:
                    number, signature, side, name = key.split("/")
                    calls.setdefault((int(number), signature), {"in": {}, "out": {}})[side][name] = golden[key]
            for (number, signature), call in sorted(calls.items()):
                got = loaded.signatures[signature](**call["in"])
                self.assertEqual(sorted(got), sorted(call["out"]))
                for name, want in call["out"].items():
                    with self.subTest(model=model, call=number, output=name):
                        value = got[name].numpy()
                        if got[name].dtype == "string":
                            self.assertEqual(np.array(value, object).tolist(), want.astype(object).tolist())
                        else:
                            np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-5)


class NestTest(unittest.TestCase):
    def test_order_and_rebuilding(self):
        structure = {"b": [1, (2, 3)], "a": 4}
        self.assertEqual(tf.nest.flatten(structure), [4, 1, 2, 3])
        doubled = tf.nest.map_structure(lambda x: 2 * x, structure)
        self.assertEqual((doubled, list(doubled)), ({"b": [2, (4, 6)], "a": 8}, ["b", "a"]))
        with self.assertRaises(ValueError):
            tf.nest.pack_sequence_as([1, 2], [1])
        with self.assertRaises(ValueError):
            tf.nest.map_structure(lambda a, b: a, [1], [1, 2])
        with self.assertRaises(TypeError):
            tf.nest.assert_same_structure([1], (1,))


if __name__ == "__main__":
    unittest.main()
