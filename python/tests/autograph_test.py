"""AutoGraph: functions with Python's control flow give traced what they give when Python runs them; what TensorFlow 2.21
refuses is refused in its words."""
import functools
import sys
import traceback
import unittest
import warnings

import numpy as np

import tenon.tf as tf

SCALE = tf.constant(3)
COUNTER = 0


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
                box.a, d["a"], xs[0] = n, n * 2, n * 3
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
                (NotImplementedError, "started as non-Tensor, then changed to Tensor", changes)]:
            with self.subTest(f.__name__):
                self.fails(error, text, f, 3)


def decorated(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs) + 1
    return wrapper


@decorated
def helper(x, *, power=2):
    if x > 0:
        x = x ** power
    return x


class Base:
    def scale(self, x):
        if x > 2:
            return x * 2
        return x


class Model(Base):
    def __init__(self):
        self.__offset = 5
        self.calls = 0

    def scale(self, x):
        if x > 3:
            y = super().scale(x) + self.__offset
        else:
            y = self.__private(x)
        return y

    def __private(self, x):
        return -x if x > 0 else x

    def __call__(self, x, add=1):
        return self.scale(x) + add

    @classmethod
    def of_class(cls, x):
        return x + 1 if x > 0 else x

    @staticmethod
    def of_none(x):
        return x + 2 if x > 0 else x

    @property
    def offset(self):
        return self.__offset

    @tf.function
    def traced(self, x):
        if x > 0:
            return x + self.__offset
        return x


class CallTest(Case):
    def test_functions_that_are_called(self):
        model = Model()

        def f(x, k=3):
            def inner(y, *rest, scale=k, **more):
                if y > rest[0]:
                    return y * scale + len(more)
                return y

            pick = lambda z: z + 1 if z > 2 else z  # noqa: E731
            first, second = (lambda z: z * 2 if z > 1 else z), (lambda z: z * 3 if z > 1 else z)
            return (helper(x), helper(x, power=3), inner(x, 1, scale=4, a=1), inner(x, 7), pick(x), first(x), second(x),
                    model(x), model.scale(x), Model.of_class(x), Model.of_none(x), model.offset, model.traced(x),
                    functools.partial(helper, power=4)(x), functools.reduce(lambda a, b: a + b if a > 0 else b, [x, x, 1]),
                    [(1 if i * x > 3 else 0) for i in range(3)], {k: v for k, v in zip("ab", (x, x))}, max(3, 4), sorted([2, 1]))
        self.same(f, (-1,), (2,), (4,))
        self.same(model, (1,), (5,))
        self.same(model.scale, (1,), (5,))
        self.same(functools.partial(helper, power=3), (2,), (-1,))
        self.assertEqual([Model().traced(tf.constant(x)).numpy() for x in (3, -1)], [8, -1])

    def test_recursion_on_python_values(self):
        def power(x, n):
            if n == 0:
                return tf.ones_like(x)
            half = power(x, n // 2)
            if x > 100:
                return x
            return half * half * (x if n % 2 else 1)
        self.same(lambda x: power(x, 5), (2,), (3,))

    def test_scopes(self):
        def closes(x):
            count = 0

            def bump(by):
                nonlocal count
                if x > 2:
                    count += by
                else:
                    count -= 1
                return count
            bump(1)
            bump(x)
            return count
        self.same(closes, (1,), (5,))

        def of_module(x):
            global COUNTER
            if x > 0:
                COUNTER = x + 1
            else:
                COUNTER = x * SCALE
            result = COUNTER
            COUNTER = 0
            return result
        self.same(of_module, (1,), (-1,))

        def a_class_inside(x):
            class Local:
                size = 3 if True else 4
                table = [each for each in range(size, 5)]

                def get(self, y):
                    if y > self.size:
                        return y
                    return self.size
            return Local().get(x) + Local.table[0]
        self.same(a_class_inside, (1,), (5,))

        def deletes(x):
            y = 1
            if x > 0:
                z = x
                y = z + 1
                del z
            return y
        self.same(deletes, (1,), (-1,))

        def annotated(x: int) -> int:
            y: int = 0
            if x > 0:
                y: int = x
            return y
        self.same(annotated, (1,), (-1,))

    def test_statements_around(self):
        events = []

        class Context:
            def __enter__(self):
                events.append("in")
                return 2

            def __exit__(self, *_):
                events.append("out")

        def f(x):
            with Context() as k:
                if x > 0:
                    return x * k
                y = x
            try:
                y = y + 1
                if x < -5:
                    raise_me = int("7")
                    y = y * raise_me
                else:
                    y = y - 1
            except ValueError as error:
                y = str(error)
            else:
                y = y + 3
            finally:
                y = y + 10
            return y
        self.same(f, (1,), (-1,), (-9,))
        self.assertEqual(events.count("in"), events.count("out"))

        def returns_in_try(x):
            for i in tf.range(3):
                try:
                    if x > i:
                        continue
                    x = x + 10
                finally:
                    x = x + 1
            try:
                if x > 12:
                    return x
            except KeyError:
                return -x
            return x * 100
        self.same(returns_in_try, (0,), (1,), (7,))

        def generator(n):
            yield n
            yield n + 1

        def uses_generators(n):
            total = 0
            for each in generator(n):
                if each > 2:
                    total += each
            return total + sum(i for i in range(3)) + sum(x for x in generator(n))
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            traced = tf.function(uses_generators)
            self.assertEqual([traced(tf.constant(n)).numpy() for n in (1, 2, 5)], [6, 11, 25])

        def matches(kind, x):
            match kind:
                case {"op": name, **rest} if len(rest) == 1:
                    if x > 0:
                        return x
                case [first, *others]:
                    x = x + first + len(others)
                case _:
                    return -x
            return x * 2
        for kind in ({"op": "a", "b": 1}, [1, 2, 3], "other"):
            self.same(lambda x, kind=kind: matches(kind, x), (1,), (-1,))

    def test_python_values_stay_python(self):
        seen = []

        def f(x, flag, items):
            if flag:
                seen.append("python")
                undefined_elsewhere = x
            for item in items:
                if item == 2:
                    continue
                seen.append(item)
            n = 0
            while n < 2:
                n += 1
            assert n == 2
            return undefined_elsewhere * n
        self.assertEqual(tf.function(f)(tf.constant(2), True, [1, 2, 3]).numpy(), 4)
        self.assertEqual(seen, ["python", 1, 3])
        with self.assertRaises(UnboundLocalError):
            tf.function(f)(tf.constant(2), False, [1])

    def test_what_is_not_converted(self):
        def f(x):
            return x if x > 0 else -x

        def calls(x):
            return tf.autograph.experimental.do_not_convert(f)(x)
        for g in (tf.function(f, autograph=False), tf.function(calls),
                  tf.function(tf.autograph.experimental.do_not_convert(f))):
            with self.assertRaises(tf.errors.OperatorNotAllowedInGraphError):
                g(tf.constant(1))
        namespace = {}
        exec("def hidden(x):\n  return x + 1 if True else x\n", namespace)
        hidden = tf.function(namespace["hidden"])
        with self.assertWarnsRegex(UserWarning, "could not transform"):
            self.assertEqual(hidden(tf.constant(1)).numpy(), 2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            hidden(tf.constant(1.))

    def test_to_graph_and_to_code(self):
        def f(x):
            if x > 0:
                x = x * 2
            return x
        g = tf.autograph.to_graph(f)
        self.assertEqual([g(tf.constant(3)).numpy(), tf.function(g, autograph=False)(tf.constant(-3)).numpy()], [6, -3])
        code = tf.autograph.to_code(f)
        compile(code, "code", "exec")
        self.assertIn("ag__.if_stmt(x > 0", code)
        self.assertEqual(tf.autograph.to_code(tf.function(f)), code)

    def test_errors_are_in_the_lines_of_the_user(self):
        def wrong(x):
            for _ in tf.range(3):
                if x > 0:
                    x = tf.zeros([2]) + tf.zeros([3])
            return x
        line = wrong.__code__.co_firstlineno + 3
        try:
            tf.function(lambda x: wrong(x))(tf.constant(1.))
            self.fail("no error")
        except tf.errors.InvalidArgumentError:
            frames = traceback.extract_tb(sys.exc_info()[2])
        here = [(f.lineno, f.name) for f in frames if f.filename == __file__]
        self.assertIn((line, "wrong"), here)
        self.assertFalse([f for f in frames if "autograph" in f.filename and f.filename != __file__])


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
            for v, g in zip((w, u, out), tape.gradient(loss, [w, u, out])):
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
