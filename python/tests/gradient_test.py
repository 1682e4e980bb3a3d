"""Tapes: gradients against finite differences and closed forms; variables, nesting, functions, custom gradients."""
import unittest

import numpy as np

import tenon as tf

raw = tf.raw_ops


def numeric(f, x, step=1e-4):
    """Central differences of the sum of f, in float64."""
    x = np.array(x, np.float64)
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        out[i] = (np.sum(f(tf.constant(up)).numpy()) - np.sum(f(tf.constant(down)).numpy())) / (2 * step)
    return out


def mlp(x, w, b):
    h = raw.Tanh(x=x @ w + b)
    return raw.Mean(input=h * h, axis=[0, 1])


class TapeTest(unittest.TestCase):
    def test_against_differences(self):
        rng = np.random.default_rng(0)
        x, w, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
        for f in [lambda p: mlp(p, tf.constant(w), tf.constant(b)),
                  lambda p: raw.Softmax(logits=p) * tf.constant(x),
                  lambda p: raw.ConcatV2(values=[p, p * p], axis=1)[:, 1:5:2],
                  lambda p: raw.Exp(x=p) / (1. + raw.Square(x=p)),
                  lambda p: raw.Split(axis=1, value=p, num_split=3)[1] * 3.,
                  lambda p: raw.Sum(input=raw.Transpose(x=p, perm=[1, 0]) ** 3., axis=0),
                  lambda p: raw.GatherV2(params=p, indices=[0, 2, 2], axis=0) * p[:3]]:
            p = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(p)
                y = f(p)
            np.testing.assert_allclose(tape.gradient(y, p).numpy(), numeric(f, x), rtol=1e-5, atol=1e-6)

    def test_variables_are_watched(self):
        w, b, frozen = tf.Variable([[2.]]), tf.Variable([1.]), tf.Variable(3., trainable=False)
        with tf.GradientTape() as tape:
            y = (tf.constant([[4.]]) @ w + b) * frozen
        self.assertEqual([v is u for v, u in zip(tape.watched_variables(), (w, b))], [True, True])
        dw, db, df = tape.gradient(y, [w, b, frozen])
        self.assertEqual((dw.tolist(), db.tolist(), df), ([[12]], [3], None))

    def test_a_variable_that_changes(self):
        v = tf.Variable(3.)
        with tf.GradientTape() as tape:
            y = v * v
            v.assign(10.)
            y = y + v
        self.assertEqual(tape.gradient(y, v).numpy(), 7)

    def test_structures_and_unconnected(self):
        a, b = tf.constant(2.), tf.constant(5.)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch({"a": a, "b": [b]})
            y = a * a
        got = tape.gradient(y, {"a": a, "b": [b]})
        self.assertEqual((got["a"].numpy(), got["b"]), (4, [None]))
        zero = tape.gradient(y, b, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self.assertEqual(zero.numpy(), 0)
        self.assertIsNone(tape.gradient(tf.constant(1.), a))
        self.assertEqual(tape.gradient(y, a, output_gradients=tf.constant(10.)).numpy(), 40)
        self.assertEqual(tape.gradient([y, y], a).numpy(), 8)
        self.assertEqual(tape.gradient(a, a).numpy(), 1)

    def test_used_once(self):
        x = tf.Variable(1.)
        with tf.GradientTape() as tape:
            y = x * x
        tape.gradient(y, x)
        with self.assertRaisesRegex(RuntimeError, "non-persistent GradientTape"):
            tape.gradient(y, x)

    def test_higher_order(self):
        x = tf.constant(2.)
        with tf.GradientTape() as third:
            third.watch(x)
            with tf.GradientTape() as second:
                second.watch(x)
                with tf.GradientTape() as first:
                    first.watch(x)
                    y = x ** 4.
                d1 = first.gradient(y, x)
            d2 = second.gradient(d1, x)
        d3 = third.gradient(d2, x)
        np.testing.assert_allclose([d.numpy() for d in (d1, d2, d3)], [32, 48, 48], rtol=1e-5)

    def test_only_what_happens_inside_counts(self):
        x = tf.Variable(2.)
        with tf.GradientTape() as tape:
            y = x * x
            with tape.stop_recording():
                z = x * x * x
            w = raw.StopGradient(input=y) * x
        self.assertEqual(tape.gradient(w, x).numpy(), 4)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            y = x * x
        self.assertIsNone(tape.gradient(y, x))
        self.assertEqual(z.numpy(), 8)

    def test_integers_carry_no_gradient(self):
        x = tf.constant([1.5, 2.5])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = raw.Cast(x=raw.Cast(x=x, DstT="int32"), DstT="float32")
        self.assertIsNone(tape.gradient(y, x))

    def test_outputs_that_take_no_part(self):
        x = tf.constant(np.arange(6.).reshape(2, 3))
        with tf.GradientTape() as tape:
            tape.watch(x)
            top = raw.TopKV2(input=x, k=2)
        np.testing.assert_array_equal(tape.gradient(top.values, x).numpy(), [[0, 1, 1], [0, 1, 1]])

    def test_jacobian(self):
        x = tf.constant([1., 2., 3.])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = x * x
        np.testing.assert_array_equal(tape.jacobian(y, x).numpy(), np.diag([2., 4., 6.]))

    def test_a_variable_that_was_read_before_the_tape(self):
        v = tf.Variable(2.)

        @tf.function
        def slopes():
            before = v * 2
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    y = v * v * v + v
                first = inner.gradient(y, v)
            return first, outer.gradient(first, v), before

        self.assertEqual([float(x) for x in slopes()], [13, 12, 4])

    def test_custom_gradient_of_a_function_from_outside(self):
        w = tf.Variable(5.)

        @tf.custom_gradient
        def square(x):
            y = x * x * w

            def backward(dy, variables):
                self.assertIs(variables[0], w)
                return dy * 100. * x, [dy * 7.]
            return y, backward

        @tf.custom_gradient
        def broken(x):
            def backward(dy):
                raise KeyError("of mine")
            return x * 1., backward

        function = tf.function(lambda x: square(x) * 2)

        @tf.function
        def looped(x):
            i = tf.constant(0)
            while i < 2:
                x = square(x)
                i += 1
            return x

        x = tf.constant(3.)
        for traced, slope in ((function, [600., 14.]), (tf.function(lambda x: function(x) + 1), [600., 14.]),
                              (looped, [100. * 3 * 100 * 45, 7 * 100 * 45 + 7.])):
            def gradients():
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = traced(x)
                return tape.gradient(y, [x, w])
            self.assertEqual([[float(g) for g in gradients()], [float(g) for g in tf.function(gradients)()]], [slope] * 2)
        traced = tf.function(broken)
        self.assertEqual(float(traced(x)), 3)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "KeyError.*of mine"), tf.GradientTape() as tape:
            tape.watch(x)
            tape.gradient(traced(x), x)

    def test_custom_gradient(self):
        @tf.custom_gradient
        def clipped(x):
            return x * 10., lambda dy: dy * 7.
        x, v = tf.constant(3.), tf.Variable(2.)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = clipped(x) * x
        self.assertEqual(tape.gradient(y, x).numpy(), 30 + 3 * 7)

        @tf.custom_gradient
        def scaled(x):
            return x * v, lambda dy, variables: (dy * 5., [dy * 11. for _ in variables])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = scaled(x)
        self.assertEqual([g.numpy() for g in tape.gradient(y, [x, v])], [5, 11])

    def test_through_functions(self):
        w = tf.Variable([[1., 2.], [3., 4.]])

        @tf.function
        def layer(x):
            h = raw.Tanh(x=x @ w)
            return raw.Sum(input=h * h, axis=[0, 1]), h
        x = tf.constant([[.1, .2]])

        def plain(x):
            return raw.Sum(input=raw.Tanh(x=x @ w) ** 2., axis=[0, 1])
        for _ in range(2):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                y, h = layer(x)
                z = plain(x)
            for source in (x, w):
                np.testing.assert_allclose(tape.gradient(y, source).numpy(), tape.gradient(z, source).numpy(), rtol=1e-5)
            np.testing.assert_allclose(tape.gradient(h, x).numpy(), ((1 - h.numpy() ** 2) @ w.numpy().T), rtol=1e-5)

    def test_second_order_through_a_function(self):
        @tf.function
        def cube(x):
            return x * x * x
        x = tf.constant(2.)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = cube(x)
            d = inner.gradient(y, x)
        self.assertEqual((d.numpy(), outer.gradient(d, x).numpy()), (12, 12))

    def test_branches_and_loops_inside_a_trace(self):
        """x ** 4, made by a loop and by a branch: first and second derivatives, and a persistent tape that is asked twice."""
        from tenon.tf import control_flow

        def by_loop(x):
            return control_flow.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (tf.constant(0), x))[1]

        def by_branch(x):
            return control_flow.cond(x > 0., lambda: x * x * x * x, lambda: x)

        for power in (by_loop, by_branch):
            @tf.function
            def derivatives(x, power=power):
                with tf.GradientTape(persistent=True) as outer:
                    outer.watch(x)
                    with tf.GradientTape(persistent=True) as inner:
                        inner.watch(x)
                        y = power(x)
                    first, again = inner.gradient(y, x), inner.gradient(y, x)
                return first, again, outer.gradient(first, x), outer.gradient(again, x)
            self.assertEqual([d.numpy() for d in derivatives(tf.constant(2.))], [32, 32, 48, 48])

    def test_taken_inside_a_branch_and_a_loop(self):
        v = tf.Variable(3.)

        @tf.function
        def f(x):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                y = x * x * v
            total = tf.constant(0.)
            for _ in raw.Range(start=0, limit=2, delta=1):
                if x > 1.:
                    gx, gv = tape.gradient(y, [x, v])
                    total = total + gx + gv
            return total
        self.assertEqual([f(tf.constant(x)).numpy() for x in (2., .5)], [32, 0])


class AsTensorFlowTest(unittest.TestCase):
    """Values are TensorFlow's."""

    def test_a_function_that_hands_its_argument_through_has_its_own_gradient_alone(self):
        @tf.custom_gradient
        def clipped(y):
            return y, lambda dy: 0.5 * dy

        v = tf.Variable(2.0)
        with tf.GradientTape() as tape:
            y = clipped(v * v)
        self.assertEqual(float(tape.gradient(y, v)), 2.0)

    def test_a_variable_may_be_the_target(self):
        v, w = tf.Variable(2.0), tf.Variable(3.0)
        with tf.GradientTape() as tape:
            v.read_value()
        dv, dw = tape.gradient(v, [v, w])
        self.assertEqual((float(dv), dw), (1.0, None))
        self.assertEqual([each is v for each in tape.watched_variables()], [True])

    def test_jacobians_are_one_use_of_a_tape(self):
        x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
        for persistent in (False, True):
            with tf.GradientTape(persistent=persistent) as tape:
                tape.watch(x)
                y = x * x
            rows = tape.batch_jacobian(y, x)
            self.assertEqual(rows.numpy().tolist(), [[[2, 0], [0, 4]], [[6, 0], [0, 8]]])
            if not persistent:
                self.assertRaises(RuntimeError, tape.jacobian, y, x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        self.assertEqual(tape.jacobian(y, x).shape.as_list(), [2, 2, 2, 2])


if __name__ == "__main__":
    unittest.main()
