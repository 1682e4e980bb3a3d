"""AutoGraph: what a converted function calls, defines and closes over; which functions are converted; errors."""
import functools
import sys
import traceback
import unittest
import warnings

import numpy as np
from autograph_test import Case

import tenon.tf as tf

SCALE = tf.constant(3)
COUNTER = 0


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


def below_ten(x):
    return x < 10 and x > -10


def grown(x):
    return x * 2 if x > 0 else x - 3


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
            y = super().scale(x) + super(Model, self).scale(x) + self.__offset
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
            first, second = (lambda z: z * np.int32(2) if z > 1 else z), (lambda z: (lambda z: z * k if z > 1 else z)(z))
            return (helper(x), helper(x, power=3), inner(x, 1, scale=4, a=1), inner(x, 7), pick(x), first(x), second(x),
                    model(x), model.scale(x), Model.of_class(x), Model.of_none(x), model.offset, model.traced(x),
                    functools.partial(helper, power=4)(x), functools.reduce(lambda a, b: a + b if a > 0 else b, [x, x, 1]),
                    [(1 if i * x > 3 else 0) for i in range(3)], {k: v for k, v in zip("ab", (x, x))}, max(3, 4), sorted([2, 1]))
        self.same(f, (-1,), (2,), (4,))
        self.same(model, (1,), (5,))
        self.same(model.scale, (1,), (5,))
        self.same(functools.partial(helper, power=3), (2,), (-1,))
        self.assertEqual([Model().traced(tf.constant(x)).numpy() for x in (3, -1)], [8, -1])

    def test_functions_as_arguments(self):
        def f(x):
            return (tf.cond(x > 0, functools.partial(helper, x), lambda: x),
                    tf.while_loop(below_ten, grown, [x])[0])
        self.same(f, (1,), (-4,))

        def odd(x):
            if x % 2 == 1:
                return x * 10
            return x

        def larger(most, x):
            return x if x > most else most
        numbers = tf.data.Dataset.range(6).map(odd).filter(lambda x: x > 2 and x != 30)
        self.assertEqual([int(x) for x in numbers], [10, 4, 50])
        self.assertEqual(int(numbers.reduce(tf.constant(0, tf.int64), larger)), 50)

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

        def closes_in_blocks(x):
            total = 0

            def add(by):
                nonlocal total
                total = total + by
            for i in tf.range(x):
                add(i)
            if x > 2:
                add(100)
            return total
        self.same(closes_in_blocks, (0,), (5,))

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

        def disagrees(x):
            x = (
                wrong if False else abs
            )(x)
            if x > 0:
                x = 1
            else:
                x = 2.
            return x
        for f, line, error in [(wrong, 3, tf.errors.InvalidArgumentError), (disagrees, 4, TypeError)]:
            try:
                tf.function(lambda x, f=f: f(x))(tf.constant(1.))
                self.fail("no error")
            except error:
                frames = traceback.extract_tb(sys.exc_info()[2])
            last = [f for f in frames if f.filename == __file__][-1]
            self.assertEqual((last.lineno, last.name), (f.__code__.co_firstlineno + line, f.__name__))
            self.assertFalse([f for f in frames if "autograph" in f.filename and f.filename != __file__])


if __name__ == "__main__":
    unittest.main()
