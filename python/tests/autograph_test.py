"""AutoGraph: control flow gives in a graph what Python gives; what TensorFlow 2.21 refuses is refused in its words."""
import unittest
import warnings

import numpy as np

import tenon.tf as tf


def numbers(result):
    return tf.nest.map_structure(lambda x: x.numpy().tolist() if hasattr(x, "numpy") else x, result)


class Case(unittest.TestCase):
    def same(self, f, *calls, **options):
        """Each call traced once for its kinds, against the same Python function where nothing is traced."""
        traced = tf.function(f, **options)
        for args in calls:
            args = [tf.constant(a) for a in args]
            with self.subTest(args=str(args)), warnings.catch_warnings():
                warnings.simplefilter("error")
                self.assertEqual(numbers(traced(*args)), numbers(f(*args)))
        return traced

    def fails(self, error, text, f, *args):
        with self.assertRaisesRegex(error, text):
            tf.function(f)(*[tf.constant(a) for a in args])


class BranchTest(Case):
    def test_if(self):
        def sign(x):
            if x > 0:
                y = 1
            elif x < 0:
                y = -1
            else:
                y = 0
            return y
        traced = self.same(sign, (2.,), (-3.,), (0.,))
        self.assertEqual(traced.experimental_get_tracing_count(), 1)
        def no_else(x):
            y = x
            if x > 0:
                y, z = x * 2, x
                y += z
            return y
        self.same(no_else, (2,), (-2,))
        def unused_after(x):
            if x > 0:
                t = 1
                y = t
            else:
                t = "text"
                y = len(t)
            return y
        self.same(unused_after, (1,), (-1,))

    def test_early_returns(self):
        def classify(x):
            """With a docstring."""
            if x > 10:
                return 100
            if x > 5:
                if x > 7:
                    return 70
                y = x
            else:
                return x * 2
            return y + 1
        self.same(classify, (11,), (8,), (6,), (3,))

        def in_loops(n, m):
            for i in tf.range(n):
                for j in tf.range(m):
                    if i * j == 6:
                        return i * 10 + j
                if i == 4:
                    return -i
            return -1
        self.same(in_loops, (5, 5), (2, 2), (9, 3), (9, 1), (0, 0))

        v = tf.Variable(0)

        def of_nothing(x):
            if x > 0:
                v.assign(1)
                return
            v.assign(2)
        f = tf.function(of_nothing)
        self.assertEqual([(f(tf.constant(x)), v.numpy())[1] for x in (1, -1)], [1, 2])
        self.same(lambda x: tf.reduce_sum(x) if tf.reduce_sum(x) > 0 else -tf.reduce_sum(x), ([1, 2],), ([-1, -2],))

    def test_expressions(self):
        self.same(lambda n: (n > 1 and n < 5, n > 4 or n < 0, not n > 1, 1 < n <= 3 != n, n if n > 1 else -n),
                  (0,), (2,), (3,), (9,), (-1,))
        self.same(lambda n: (0 < n < 5 and not (n == 3 or n == 4)), (1,), (3,), (7,))
        def lazily(n):
            x = tf.constant([1, 2, 3])
            return n < 3 and x[tf.minimum(n, 2)] > 1  # Python's `and` decides whether the rest is looked at
        self.same(lazily, (0,), (2,), (7,))
        def walrus(n):
            if (m := n * 2) > 4 and m < 10:
                return m
            while (m := m + 1) < 6:
                pass
            return -m
        self.same(walrus, (1,), (3,), (9,))

        def asserts(n):
            assert n < 3, "too much"
            assert True
            return n
        self.same(asserts, (2,))
        self.fails(tf.errors.InvalidArgumentError, "too much", asserts, 5)

    def test_objects_and_containers(self):
        class Box:
            pass

        def members(n):
            box, d, xs = Box(), {"a": 1, "k": {"x": 2}}, [1, 2]
            box.a = box.b = 0
            if n > 1:
                box.a, d["a"], xs[0], xs[-1] = n, n * 2, n * 3, n * 4
            for i in tf.range(n):
                box.b += i
                d["k"]["x"] += 1
            return box.a, box.b, d["a"], d["k"]["x"], xs
        self.same(members, (5,), (0,))

        def structures(n):
            s = {"a": (n, 1), "b": [2.]}
            if n > 1:
                s = {"a": (1, n), "b": [3.]}
            return s
        self.same(structures, (2,), (0,))
        def kept(n):
            f, name = tf.add, None
            if n > 1:
                y = f(n, 1)
            else:
                y = f(n, 2)
            return y, name is None
        self.same(kept, (2,), (0,))

    def test_refusals(self):
        def one_branch(x):
            if x > 0:
                y = 1
            return y

        def main_branch(x):
            if x > 0:
                pass
            else:
                y = 1
            return y

        def dtypes(x):
            if x > 0:
                y = 1
            else:
                y = 2.
            return y

        def none(x):
            y = None
            if x > 0:
                y = x
            return y

        def no_return(x):
            if x > 0:
                return x

        def structure(x):
            y = (1, 2)
            if x > 0:
                y = (1, 2, 3)
            return y

        def member(x):
            d = {}
            if x > 0:
                d["k"] = x
            return d["k"]

        def static_break(x):
            for i in range(5):
                if x > 0:
                    break
            return i
        for error, text, f in [
                (ValueError, "'y' must also be initialized in the else branch", one_branch),
                (ValueError, "'y' must also be initialized in the main branch", main_branch),
                (TypeError, "'y' has dtype int32 in the main branch, but dtype float32 in the else branch", dtypes),
                (ValueError, "'y' is None at the end of the else branch", none),
                (ValueError, "the else branch must also have a return statement", no_return),
                (TypeError, "'y' must have the same nested structure in the main and else branches", structure),
                (ValueError, r"'d\['k'\]' must also be initialized in the else branch", member),
                (NotImplementedError, "break and return statements which depend on a TF condition", static_break),
                (TypeError, "'x > 0' has dtype int32 in the main branch", lambda x: 1 if x > 0 else 2.)]:
            with self.subTest(f.__name__):
                self.fails(error, text, f, 1.)
        self.fails(ValueError, "condition of if statement expected to be `tf.bool` scalar", lambda x: one_branch(x), [1, 2])


class LoopTest(Case):
    def test_while(self):
        def collatz(n):
            steps = 0
            while n != 1:
                if n % 2 == 0:
                    n = n // 2
                else:
                    n = 3 * n + 1
                steps += 1
            return steps
        self.same(collatz, (1,), (6,), (27,))

        def breaks(n):
            i = total = 0
            while i < n:
                i += 1
                if i % 3 == 0:
                    continue
                if i > 7:
                    break
                total += i
            else:
                total = -total
            return i, total
        self.same(breaks, (0,), (4,), (20,))

        def until_a_tensor_breaks(n):
            i = 0
            while True:
                i += 1
                if i > n:
                    break
            return i
        with self.assertRaisesRegex(NotImplementedError, "started as non-Tensor, then changed to Tensor"):
            tf.function(until_a_tensor_breaks)(tf.constant(4))

        def nested_on_tensors(n):
            found = 0
            i = n * 0
            while i < n:
                j = n * 0
                while j < 100:
                    j += 1
                    if j > i:
                        break
                    if (i + j) % 2 == 1:
                        continue
                    found += i * j
                i += 1
            return found
        self.same(nested_on_tensors, (0,), (5,))

    def test_for(self):
        def rows(x):
            total = 0
            for row in x:
                for each in row:
                    if each < 0:
                        break
                    total += each
            return total
        self.same(rows, ([[1, 2, -1, 9], [-1, 5, 5, 5], [1, 1, 1, 1]],))
        self.same(rows, ([[1, 2], [3, -4]],), input_signature=[tf.TensorSpec([None, None], tf.int32)])

        def fizzbuzz(n):
            out = tf.zeros([0], tf.int32)
            for i in tf.range(1, n + 1):
                tf.autograph.experimental.set_loop_options(shape_invariants=[(out, tf.TensorShape([None]))])
                if i % 15 == 0:
                    value = -15
                elif i % 3 == 0:
                    value = -3
                elif i % 5 == 0:
                    value = -5
                else:
                    value = i
                out = tf.concat([out, [value]], 0)
            return out
        traced = tf.function(fizzbuzz)
        self.assertEqual(traced(tf.constant(15)).tolist(), [-15 if i % 15 == 0 else -3 if i % 3 == 0 else -5 if i % 5 == 0
                                                            else i for i in range(1, 16)])

        def ranges(a, b, c):
            out = 0
            for i in tf.range(a, b, c):
                out = out * 10 + i
            for i in range(a, b, c):
                out = out * 10 + i
            for i in range(b):
                out += i
            return out, i
        self.same(ranges, (0, 3, 1), (5, 1, -2), (3, 7, 2))

        def last_value(n):
            i = -5
            for i in tf.range(n):
                pass
            return i
        self.same(last_value, (0,), (4,))

        def unpacks(x):
            total = 0
            for a, (b, c) in [(x, (1, 2)), (2, (x, 3))]:  # Python's loop
                total += a * b - c
            for i, row in enumerate([x, x + 1]):
                if row > 1:
                    total += i
            return total
        self.same(unpacks, (1,), (5,))

    def test_what_a_loop_makes(self):
        def defines(n):
            for i in tf.range(n):
                y = i * 2
            return y
        self.same(defines, (3,))
        self.fails(tf.errors.InvalidArgumentError, "loop must iterate at least once to initialize y", defines, 0)

        def from_none(n):
            y = None
            for i in tf.range(n):
                y = i
            return y
        self.same(from_none, (3,))

        def tuples(n):
            s = (0, n)
            while s[0] < n:
                s = (s[0] + 1, s[1] * 2)
            return s
        self.same(tuples, (3,))
        def at_most(n):
            i = 0
            while i < n:
                tf.autograph.experimental.set_loop_options(maximum_iterations=2)
                i += 1
            return i
        self.assertEqual(tf.function(at_most)(tf.constant(9)).numpy(), 2)

    def test_refusals(self):
        def shape(n):
            v = tf.constant([1.])
            for _ in tf.range(n):
                v = tf.concat([v, v], 0)
            return v

        def dtype(n):
            v = 1
            for _ in tf.range(n):
                v = tf.cast(v, tf.float32)
            return v

        def undefined(n):
            for i in tf.range(n):
                y = y + i  # noqa: F821, F841
            return y  # noqa: F821

        def none(n):
            y = 1
            for _ in tf.range(n):
                y = None
            return y

        def grows(n):
            s = []
            for i in tf.range(n):
                s = s + [i]
            return s

        def appends(n):
            s = []
            for i in tf.range(n):
                s.append(i)
            return tf.stack(s)

        def changes(n):
            i = 0
            while i < 3:
                i = n
            return i
        for error, text, f in [
                (ValueError, r"'v' has shape \(1,\) before the loop, but shape \(2,\) after one iteration. Use "
                             "tf.autograph.experimental.set_loop_options", shape),
                (TypeError, "'v' has dtype int32 before the loop, but dtype float32 after one iteration", dtype),
                (ValueError, "'y' must be defined before the loop", undefined),
                (ValueError, "'y' is None at the end of the iteration", none),
                (TypeError, "'s' does not have the same nested structure after one iteration", grows),
                (tf.errors.InvalidArgumentError, "a tensor leaves a function, a branch or a loop as what it", appends),
                (NotImplementedError, "started as non-Tensor, then changed to Tensor", changes)]:
            with self.subTest(f.__name__):
                self.fails(error, text, f, 3)


class ArrayTest(Case):
    def test_in_branches_and_loops(self):
        def fibonacci(n):
            a = tf.TensorArray(tf.int32, n, clear_after_read=False).write(0, 1).write(1, 1)
            for i in tf.range(2, n):
                a = a.write(i, a.read(i - 1) + a.read(i - 2))
            if n > 5:
                a = a.unstack(a.stack() * 2)
            return a.stack()
        self.same(fibonacci, (4,), (9,))

        def grows(x):
            kept = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
            for row in x:
                if row[0] > 0.:
                    kept = kept.write(kept.size(), row)
            return kept.stack()
        self.same(grows, ([[1., 2.], [-1., 3.], [4., 5.]],))


class GradientTest(Case):
    def test_through_loops_and_branches(self):
        v = tf.Variable(3.)

        def f(x, n):
            y = x
            for i in tf.range(n):
                if i % 2 == 0:
                    y = y * x
                else:
                    y = y + v * x
                if y > 1000.:
                    break
            return y
        traced = tf.function(f)

        @tf.function
        def inside(x, n):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x, n)
            return tape.gradient(y, [x, v])
        for start, n in [(2., 0), (2., 1), (2., 5), (10., 9)]:
            x = tf.constant(start)
            results = []
            for g in (f, traced):
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = g(x, tf.constant(n))
                results.append(tape.gradient(y, [x, v], unconnected_gradients=tf.UnconnectedGradients.ZERO))
            results.append(inside(x, tf.constant(n)))
            for got in results[1:]:
                np.testing.assert_allclose([float(g) for g in got], [float(r) for r in results[0]], rtol=1e-6)

    def test_recurrent_network_and_training(self):
        rng = np.random.default_rng(0)
        data = rng.normal(size=(7, 4, 3)).astype(np.float32)  # time, batch, features

        def build():
            rng = np.random.default_rng(1)
            return [tf.Variable(rng.normal(size=s).astype(np.float32) * .3) for s in ((3, 5), (5, 5), (5, 1))]

        def step(x, w, u, out):
            with tf.GradientTape() as tape:
                h = tf.zeros([tf.shape(x)[1], 5])
                for frame in x:
                    h = tf.tanh(frame @ w + h @ u)
                loss = tf.reduce_mean(tf.square(h @ out - 1.))
            weights = tape.watched_variables()
            for v, g in zip(weights, tape.gradient(loss, weights)):
                v.assign_sub(.1 * g)
            return loss

        def train(x, w, u, out, steps):
            loss = tf.constant(0.)
            for _ in tf.range(steps):
                loss = step(x, w, u, out)
            return loss
        eager, traced, looped = build(), build(), build()
        fast = tf.function(step)
        for _ in range(4):
            want = step(tf.constant(data), *eager)
            got = fast(tf.constant(data), *traced)
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4)
        last = tf.function(train)(tf.constant(data), *looped, tf.constant(4))
        np.testing.assert_allclose(last.numpy(), want.numpy(), rtol=1e-4)
        for a, b, c in zip(eager, traced, looped):
            np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(c.numpy(), a.numpy(), rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
