"""keras.src.backend.tenon.core: Keras' own."""
import tenon.tf as tf
from keras.src import tree
from keras.src.backend.tenon.in_tree import core as _core

globals().update({name: value for name, value in vars(_core).items() if not name.startswith("__")})


def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """Keras' own; tensors in a list may have other dtypes than is asked for."""
    if dtype is not None and isinstance(x, (list, tuple)) and any(tf.is_tensor(each) for each in x):
        x = tf.stack([tf.cast(each, dtype) for each in x])
    return _core.convert_to_tensor(x, dtype, sparse, ragged)


def _tensor(value):
    return None if value is None else _core.convert_to_tensor(value)


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """States and results of `f(state, x)` along the first dimension; results of any structure, as JAX has it."""
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"`unroll` must be an positive integer or boolean. Received: unroll={unroll}")
    if xs is None and length is None:
        raise ValueError("Got no `xs` to scan over and `length` not provided.")
    xs, init = (tree.map_structure(_tensor, v) for v in (xs, init))
    flat = [] if xs is None else [x for x in tree.flatten(xs) if x is not None]
    count = int(length) if length is not None else shape(flat[0])[0]  # noqa: F821: Keras' own

    def element(i):
        return None if xs is None else tree.map_structure(lambda x: x[i], xs)

    with tf.__internal__.FuncGraph("scan").as_default():
        _, like = f(tree.map_structure(tf.identity, init), element(0))
        like = tree.map_structure(_tensor, like)
        specs = [(y.dtype, y.shape) for y in tree.flatten(like) if y is not None]
    arrays = [tf.TensorArray(dtype, count, element_shape=element_shape) for dtype, element_shape in specs]

    def step(i, state, arrays):
        state, ys = f(state, element(i))
        results = [y for y in tree.flatten(ys) if y is not None]
        return i - 1 if reverse else i + 1, state, [a.write(i, y) for a, y in zip(arrays, results)]

    _, state, arrays = tf.while_loop(lambda i, *_: i >= 0 if reverse else i < count, step,
                                     (count - 1 if reverse else 0, init, arrays))
    stacked = iter([a.stack() for a in arrays])
    return state, tree.map_structure(lambda y: None if y is None else next(stacked), like)
