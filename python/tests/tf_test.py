"""tenon.tf: functions by TensorFlow's names, against NumPy; control flow eagerly and traced."""
import unittest

import numpy as np

import tenon.tf as tf


def both(f, *args):
    """The value eagerly and from a traced function."""
    args = [tf.constant(a) for a in args]
    return [tf.nest.map_structure(lambda x: x.numpy(), g(*args)) for g in (f, tf.function(f))]


class FunctionsTest(unittest.TestCase):
    def check(self, f, want, *args, rtol=1e-5):
        for got in both(f, *args):
            np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-6)

    def test_elementwise(self):
        x = np.linspace(.1, .9, 12).astype(np.float32).reshape(3, 4)
        for name in ["exp", "log", "sqrt", "square", "sin", "cos", "tan", "tanh", "floor", "ceil", "sign", "log1p", "expm1",
                     "abs", "reciprocal", "negative", "rint"]:
            self.check(getattr(tf.math, name), getattr(np, name)(x), x)
        for name in ["add", "subtract", "multiply", "divide", "maximum", "minimum", "pow"]:
            self.check(getattr(tf, name) if hasattr(tf, name) else getattr(tf.math, name),
                       getattr(np, {"pow": "power"}.get(name, name))(x, x.T.reshape(3, 4)), x, x.T.reshape(3, 4))
        self.check(lambda v: tf.clip_by_value(v, .3, .5), np.clip(x, .3, .5), x)
        self.check(lambda v: tf.add(2, v), 2 + x, x)
        self.assertEqual(tf.cast(tf.constant([1.7, -1.7]), tf.int32).tolist(), [1, -1])
        self.assertEqual(tf.cast(3, tf.float32).dtype, tf.float32)
        self.assertEqual(tf.logical_and([True, True], [True, False]).tolist(), [True, False])

    def test_reductions(self):
        x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
        for name, numpy in [("sum", np.sum), ("mean", np.mean), ("max", np.max), ("min", np.min), ("prod", np.prod),
                            ("std", np.std), ("variance", np.var)]:
            for axis in [None, 0, -1, (0, 2), [1]]:
                f = getattr(tf, f"reduce_{name}", None) or getattr(tf.math, f"reduce_{name}")
                numpy_axis = tuple(axis) if isinstance(axis, list) else axis
                self.check(lambda v, f=f, a=axis: f(v, axis=a), numpy(x, axis=numpy_axis), x, rtol=1e-4)
                self.check(lambda v, f=f, a=axis: f(v, a, True), numpy(x, axis=numpy_axis, keepdims=True), x, rtol=1e-4)
        self.check(lambda v: tf.reduce_logsumexp(v, 1), np.log(np.exp(x).sum(1)), x)
        self.check(lambda v: tf.argmax(v, 2), x.argmax(2), x)
        self.check(lambda v: tf.cumsum(v, 1), x.cumsum(1), x)
        self.assertEqual(tf.math.confusion_matrix([0, 1, 1], [0, 0, 1]).tolist(), [[1, 0], [1, 1]])

    def test_arrays(self):
        x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        self.check(tf.transpose, x.T, x)
        self.check(lambda v: tf.transpose(v, [1, 0, 2]), x.transpose(1, 0, 2), x)
        self.check(lambda v: tf.reshape(v, [-1, tf.shape(v)[2]]), x.reshape(-1, 4), x)
        self.check(lambda v: tf.concat([v, v], -1), np.concatenate([x, x], -1), x)
        self.check(lambda v: tf.stack([v, v], 1), np.stack([x, x], 1), x)
        self.check(lambda v: tf.unstack(v, axis=1)[2], x[:, 2], x)
        self.check(lambda v: tf.split(v, [1, 3], axis=2)[1], x[..., 1:], x)
        self.check(lambda v: tf.tile(v, [1, 2, 1]), np.tile(x, [1, 2, 1]), x)
        self.check(lambda v: tf.repeat(v, 2, axis=1), np.repeat(x, 2, 1), x)
        self.check(lambda v: tf.pad(v, [[0, 0], [1, 2], [0, 0]]), np.pad(x, [[0, 0], [1, 2], [0, 0]]), x)
        self.check(lambda v: tf.pad(v, [[0, 0], [1, 2], [0, 0]], "REFLECT"), np.pad(x, [[0, 0], [1, 2], [0, 0]], "reflect"), x)
        self.check(lambda v: tf.reverse(v, [1]), x[:, ::-1], x)
        self.check(lambda v: tf.roll(v, 1, 2), np.roll(x, 1, 2), x)
        self.check(lambda v: tf.gather(v, [2, 0], axis=1), x[:, [2, 0]], x)
        self.check(lambda v: tf.squeeze(tf.expand_dims(v, 1)), x, x)
        self.check(lambda v: tf.where(v > 5., v, 0.), np.where(x > 5, x, 0), x)
        self.check(lambda v: tf.where(v > 5., 0., v), np.where(x > 5, 0, x), x)
        self.check(lambda v: tf.sort(v, direction="DESCENDING"), -np.sort(-x), x)
        self.check(lambda v: tf.argsort(v, axis=1), x.argsort(1), x)
        self.check(lambda v: tf.broadcast_to(v[:1], [2, 3, 4]), np.broadcast_to(x[:1], x.shape), x)
        self.assertEqual(tf.eye(2, 3).tolist(), [[1, 0, 0], [0, 1, 0]])
        self.assertEqual([tf.range(3).dtype, tf.range(0, 1, .25).tolist()], [tf.int32, [0, .25, .5, .75]])
        np.testing.assert_allclose(tf.linspace(0., 1., 5).numpy(), np.linspace(0, 1, 5))
        self.assertEqual(tf.one_hot([1, 0], 3).tolist(), [[0, 1, 0], [1, 0, 0]])
        self.assertEqual([z.dtype for z in (tf.zeros([2]), tf.ones((2,), tf.bool), tf.zeros_like([1, 2]))],
                         [tf.float32, tf.bool, tf.int32])
        for got, want in zip(tf.meshgrid([1, 2, 3], [4, 5]), np.meshgrid([1, 2, 3], [4, 5])):
            np.testing.assert_array_equal(got.numpy(), want)

    def test_linear_algebra(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
        self.check(tf.matmul, a @ b, a, b)
        self.check(lambda p: tf.matmul(p, p, transpose_b=True), a @ a.transpose(0, 2, 1), a)
        self.check(lambda p, q: tf.tensordot(p, q, [[2, 0], [1, 0]]), np.tensordot(a, b, [[2, 0], [1, 0]]), a, b)
        self.check(lambda p: tf.tensordot(p, p[0], [[1, 2], [0, 1]]), np.tensordot(a, a[0], 2), a)
        self.check(lambda p, q: tf.einsum("bij,bjk->bik", p, q), a @ b, a, b)
        self.check(lambda p: tf.norm(p, axis=1), np.linalg.norm(a, axis=1), a)
        self.check(tf.linalg.trace, np.trace(a[0, :3, :3]), a[0, :3, :3])

    def test_networks(self):
        x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
        e = np.exp(x - x.max(1, keepdims=True))
        self.check(tf.nn.softmax, e / e.sum(1, keepdims=True), x)
        self.check(lambda v: tf.nn.softmax(v, axis=0), np.exp(x) / np.exp(x).sum(0), x)
        self.check(tf.nn.relu, np.maximum(x, 0), x)
        loss = -np.log(e / e.sum(1, keepdims=True))[np.arange(3), [0, 3, 1]]
        self.check(lambda v: tf.nn.sparse_softmax_cross_entropy_with_logits([0, 3, 1], v), loss, x)
        self.check(lambda v: tf.nn.softmax_cross_entropy_with_logits(np.eye(4)[[0, 3, 1]], v), loss, x)
        self.check(lambda v: tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(v), v), np.log1p(np.exp(-x)), x)
        mean, variance = tf.nn.moments(tf.constant(x), [0])
        np.testing.assert_allclose([mean.numpy(), variance.numpy()], [x.mean(0), x.var(0)], rtol=1e-5, atol=1e-6)
        dropped = tf.nn.dropout(tf.ones([1000]), .25).numpy()
        np.testing.assert_allclose(np.unique(dropped), [0, 4 / 3], rtol=1e-6)
        self.assertTrue(180 < (dropped == 0).sum() < 320)

    def test_random(self):
        tf.random.set_seed(7)
        first = tf.random.uniform([4]).numpy(), tf.random.normal([4]).numpy()
        tf.random.set_seed(7)
        again = tf.random.uniform([4]).numpy(), tf.random.normal([4]).numpy()
        np.testing.assert_array_equal(first, again)
        self.assertFalse(np.array_equal(tf.random.uniform([4]).numpy(), tf.random.uniform([4]).numpy()))
        draws = tf.random.uniform([1000], 3, 6, tf.int32).numpy()
        self.assertEqual(sorted(set(draws)), [3, 4, 5])

    def test_missing_names(self):
        for f, text in [(lambda: tf.reduce_sums, "Tenon has no 'tf.reduce_sums'. Near it: reduce_sum"),
                        (lambda: tf.math.bessel_j0, "Tenon has no 'tf.math.bessel_j0'")]:
            with self.assertRaisesRegex(AttributeError, text):
                f()


class ControlFlowTest(unittest.TestCase):
    def test_cond(self):
        scale = tf.Variable(3.)
        big = tf.constant(np.arange(200.).astype(np.float32))

        def f(x):
            return tf.cond(x > 0., lambda: (x * scale, big[2]), lambda: (-x, big[1] + x))
        g = tf.function(f)
        for value in (2., -2.):
            for got, want in zip(g(tf.constant(value)), (6., 2.) if value > 0 else (2., -1.)):
                self.assertEqual(got.numpy(), want)
        self.assertEqual(g.experimental_get_tracing_count(), 1)

    def test_gradients_through_cond_and_while(self):
        @tf.function
        def f(x):
            y = tf.cond(x > 1., lambda: x * x, lambda: 5. * x)
            _, z = tf.while_loop(lambda i, z: i < 3, lambda i, z: (i + 1, z * x), (tf.constant(0), y))
            return z
        for value, want in [(2., 2. ** 5), (.5, 5 * .5 ** 4)]:
            x = tf.constant(value)
            with tf.GradientTape() as tape:
                tape.watch(x)
                z = f(x)
            self.assertAlmostEqual(float(z), want, 4)
            self.assertAlmostEqual(float(tape.gradient(z, x)), want * (5 if value > 1 else 4) / value, 3)

    def test_while(self):
        def count(n):
            return tf.while_loop(lambda i, total: i < n, lambda i, total: (i + 1, total + i), [tf.constant(0), tf.constant(0)])
        for got in both(count, 5):
            self.assertEqual([int(x) for x in got], [5, 10])
        for got in both(lambda n: tf.while_loop(lambda i: i < n, lambda i: (i + 1,), [tf.constant(0)], maximum_iterations=3), 9):
            self.assertEqual([int(x) for x in got], [3])
        grow = tf.function(lambda: tf.while_loop(
            lambda v: tf.shape(v)[0] < 9, lambda v: (tf.concat([v, v], 0),), [tf.constant([1.])],
            shape_invariants=[tf.TensorShape([None])]))
        self.assertEqual(grow()[0].shape[0], 16)
        with self.assertRaisesRegex(ValueError, "shape_invariants"):
            tf.function(lambda: tf.while_loop(lambda v: tf.shape(v)[0] < 9, lambda v: (tf.concat([v, v], 0),),
                                              [tf.constant([1.])]))()

    def test_results_from_around(self):
        """A branch or a body may return what it did not make."""
        def f(x, y):
            a, b = tf.cond(x > y, lambda: (x, y), lambda: (y, y))
            return a, b, tf.while_loop(lambda i, v: i < 2, lambda i, v: (i + 1, y), [tf.constant(0), x])[1]
        for got in both(f, 2, 1) + both(f, 1, 5):
            self.assertEqual([int(v) for v in got], [2, 1, 1] if got[1] == 1 else [5, 5, 5])

    def test_variables_in_branches(self):
        v = tf.Variable(0.)

        @tf.function
        def f(x):
            tf.cond(x, lambda: v.assign_add(1.) + 0., lambda: v.assign_sub(10.) + 0.)
            return v + 0.
        self.assertEqual([f(tf.constant(b)).numpy() for b in (True, True, False)], [1, 2, -8])


if __name__ == "__main__":
    unittest.main()
