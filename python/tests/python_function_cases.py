"""py_function and numpy_function, as functions of `tf` that give plain Python values."""
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

    def of_function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x) * 2
        return tape.gradient(y, x)

    function = tf.function(lambda x: tf.py_function(lambda a: a * a * a, [x], tf.float32))
    given = tf.constant([1., 2.]), tf.constant([3., 1.])
    return plain([slope(*given), tf.function(slope)(*given), of_function(given[0]), tf.function(of_function)(given[0])])


def ragged(tf):
    given = tf.ragged.constant([[1], [2, 3]])

    def double(x):
        return tf.py_function(lambda r: r * 2, [x], tf.RaggedTensorSpec([None, None], tf.int32))

    @tf.numpy_function(Tout=tf.float32)
    def one_more(a):
        return a + np.float32(1)

    return [double(given).to_list(), tf.function(double)(given).to_list(), plain(one_more(tf.constant(1.)))]


def _nested(value):
    if isinstance(value, list):
        return [_nested(each) for each in value]
    return value * 2


def recursion(tf):
    """A function that calls itself, also in a comprehension, in converted code."""
    return plain(tf.function(lambda x: _nested([x, [x, x + 1]]))(tf.constant(2)))


def mapped(tf):
    D = tf.data.Dataset

    def lengths(text):
        size = tf.numpy_function(lambda t: np.int32(len(t)), [text], tf.int32)
        size.set_shape([])
        return size

    texts = D.from_tensor_slices(["a", "bcd", ""])
    square = D.range(6).map(lambda x: tf.py_function(lambda v: v * v, [x], tf.int64), num_parallel_calls=3)
    return [all_of(texts.map(lengths)), plain(list(square)), plain(list(square.batch(4)))]


CASES = [calls, gradients, ragged, recursion, mapped]
