"""Python's code and datasets within traced functions, as functions of `tf` that give plain Python values."""
import numpy as np

from data_cases import all_of, error_of, plain


def calls(tf):
    """py_function and numpy_function, at once and in graphs."""
    def split(x):
        return np.float32(x.sum()), (x > 1).astype(np.int64)

    def numpy_all(x):
        total, large = tf.numpy_function(split, [x], [tf.float32, tf.int64])
        return total * 2, large

    def nothing(x):
        seen.append(plain(x))

    def eager_all(x):
        tf.py_function(nothing, [x], [])
        return tf.py_function(lambda a, b: a * b + (1 if a[0] > 0 else 2), [x, 3.0], tf.float32)

    seen = []
    x = tf.constant([1., 2.])
    found = [plain(f(x)) for f in (numpy_all, tf.function(numpy_all), eager_all, tf.function(eager_all))]

    @tf.function
    def shapes(x):
        y = tf.numpy_function(lambda a: a, [x], tf.float32)
        return tf.constant(str(y.shape))

    return [found, seen, plain(shapes(x)), error_of(lambda: tf.function(lambda: tf.numpy_function(lambda: 1.0, [], tf.int64))()),
            error_of(lambda: tf.function(lambda: tf.py_function(lambda: [1, 2], [], [tf.int32]))()),
            *(error_of(lambda e=e: tf.function(lambda: tf.py_function(_raises(e), [], tf.int32))())
              for e in (ValueError, TypeError, NotImplementedError, RuntimeError, KeyError))]


def _raises(error):
    def function():
        raise error("no")
    return function


def gradients(tf):
    def cube(x, w):
        return tf.py_function(lambda a, b: a * a * a * b, [x, w], tf.float32)

    def slope(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.reduce_sum(cube(x, w)) * 2
        return tape.gradient(y, [x, w])

    given = tf.constant([1., 2.]), tf.constant([3., 1.])
    return plain([slope(*given), tf.function(slope)(*given)])


def mapped(tf):
    D = tf.data.Dataset

    def lengths(text):
        size = tf.numpy_function(lambda t: np.int32(len(t)), [text], tf.int32)
        size.set_shape([])
        return size

    texts = D.from_tensor_slices(["a", "bcd", ""])
    square = D.range(6).map(lambda x: tf.py_function(lambda v: v * v, [x], tf.int64), num_parallel_calls=3)
    return [all_of(texts.map(lengths)), plain(list(square)), plain(list(square.batch(4)))]


def loops(tf):
    D = tf.data.Dataset
    numbers = D.range(6)

    @tf.function
    def total(dataset):
        found = tf.constant(0, tf.int64)
        for x in dataset:
            found += x
        return found

    @tf.function
    def until(dataset, limit):
        found, steps = tf.constant(0, tf.int64), 0
        for x in dataset:
            if found > limit:
                break
            if x == 2:
                continue
            found += x
            steps += 1
        return found, steps

    @tf.function
    def pairs(dataset):
        found = tf.TensorArray(tf.float32, 0, dynamic_size=True)
        i = 0
        for x, more in dataset:
            found = found.write(i, tf.reduce_sum(x) + more["k"])
            i += 1
        return found.stack()

    @tf.function
    def inner(n):
        found = tf.constant(0, tf.int64)
        for x in tf.data.Dataset.range(n).map(lambda v: v * n):
            found += x
        return found

    dataset = D.from_tensor_slices((np.arange(6, dtype=np.float32).reshape(3, 2), {"k": [1., 2., 3.]}))
    return plain([total(numbers), total(numbers.batch(4).map(tf.reduce_sum)), total(D.range(0)), until(numbers, tf.constant(3, tf.int64)),
                  pairs(dataset), inner(tf.constant(4, tf.int64)), inner(tf.constant(2, tf.int64)), tf.function(lambda: numbers.reduce(tf.constant(1, tf.int64), lambda s, x: s + x))()])


def iterators(tf):
    D = tf.data.Dataset

    @tf.function
    def two(iterator):
        a = next(iterator)
        return a * 10 + next(iterator)

    @tf.function
    def own():
        iterator = iter(D.range(3))
        return next(iterator), next(iterator)

    @tf.function
    def rest(iterator):
        found = tf.constant(0, tf.int64)
        for x in iterator:
            found += x
            if x >= 4:
                break
        return found

    @tf.function
    def maybe(iterator):
        optional = iterator.get_next_as_optional()
        return optional.get_value() if optional.has_value() else tf.constant(-1, tf.int64)

    iterator = iter(D.range(9))
    found = [two(iterator), two(iterator), own(), own(), rest(iterator), next(iterator), rest(iterator), maybe(iterator),
             maybe(iter(D.range(1)))]
    return [plain(found), error_of(lambda: two(iter(D.range(1))))]


CASES = [calls, gradients, mapped, loops, iterators]
