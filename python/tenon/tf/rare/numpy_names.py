"""tf.experimental.numpy: NumPy's functions on tensors. Python's numbers are int64 and float64, and dtypes are promoted as NumPy
promotes them; operators between tensors stay TensorFlow's."""
import math

from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, linalg, missing, random, reductions


def _plain(value, dtype=None):
    """A tensor of whatever NumPy takes for an array."""
    if isinstance(value, (_tenon.Tensor, _tenon.VariableBase)):
        value = _tenon.convert(value)
        return value if dtype is None else elementwise.cast(value, dtype)
    import numpy as np
    if isinstance(value, (list, tuple)) and any(isinstance(v, (_tenon.Tensor, _tenon.VariableBase, list, tuple)) for v in value):
        parts = _promoted(*value)
        value = arrays.stack(parts)
        return value if dtype is None else elementwise.cast(value, dtype)
    return _tenon.convert(np.asarray(value, None if dtype is None else _tenon.as_dtype(dtype).as_numpy_dtype))


def _promoted(*values):
    """The tensors in the dtype that NumPy gives what is computed of them."""
    import numpy as np
    tensors = [_plain(v) for v in values]
    dtype = _tenon.as_dtype(np.result_type(*(t.dtype.as_numpy_dtype for t in tensors)))
    return [elementwise.cast(t, dtype) for t in tensors]


def _floating(x):
    x = _plain(x)
    return x if x.dtype.is_floating or x.dtype.is_complex else elementwise.cast(x, "float64")


def _unary(function, floating=False):
    def apply(x):
        return function(_floating(x) if floating else _plain(x))
    return apply


def _binary(function, floating=False):
    def apply(x1, x2):
        x1, x2 = _promoted(x1, x2)
        return function(_floating(x1), _floating(x2)) if floating else function(x1, x2)
    return apply


def _reduce(function, floating=False):
    def apply(a, axis=None, dtype=None, keepdims=False):
        a = _plain(a, dtype)
        if a.dtype.is_bool and function in (reductions.reduce_sum, reductions.reduce_prod):
            a = elementwise.cast(a, "int64")
        return function(_floating(a) if floating else a, axis, keepdims)
    return apply


def _truth(function):
    def apply(a, axis=None, keepdims=False):
        return function(elementwise.cast(_plain(a), "bool"), axis, keepdims)
    return apply


def _filled(value):
    def make(shape, dtype="float64"):
        return arrays.fill(shape, _tenon.convert(bool(value) if _tenon.as_dtype(dtype).is_bool else value, dtype))
    return make


def array(val, dtype=None, copy=True, ndmin=0):
    made = _plain(val, dtype)
    return arrays.reshape(made, [1] * (ndmin - made.shape.rank) + made.shape.as_list()) if made.shape.rank < ndmin else made


def asarray(a, dtype=None):
    return _plain(a, dtype)


def full(shape, fill_value, dtype=None):
    return arrays.broadcast_to(_plain(fill_value, dtype), arrays.shape_vector(shape))


def _like(make):
    def function(a, dtype=None, shape=None):
        a = _plain(a)
        return make(arrays.shape(a) if shape is None else shape, a.dtype if dtype is None else dtype)
    return function


def full_like(a, fill_value, dtype=None):
    a = _plain(a)
    return full(arrays.shape(a), fill_value, a.dtype if dtype is None else dtype)


def arange(start, stop=None, step=1, dtype=None):
    import numpy as np
    return _plain(np.arange(*((start,) if stop is None else (start, stop)), step=step), dtype)


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=float, axis=0):
    import numpy as np
    return _plain(np.linspace(start, stop, num, endpoint, dtype=np.dtype(dtype or float), axis=axis))


def eye(N, M=None, k=0, dtype="float64"):  # noqa: N803: NumPy's names
    import numpy as np
    return _plain(np.eye(N, M, k), dtype)


def identity(n, dtype="float64"):
    return eye(n, dtype=dtype)


def reshape(a, newshape, order="C"):
    if order != "C":
        raise NotImplementedError("reshape() takes the order 'C'.")
    return arrays.reshape(_plain(a), newshape)


def ravel(a):
    return arrays.reshape(_plain(a), [-1])


def transpose(a, axes=None):
    return arrays.transpose(_plain(a), axes)


def swapaxes(a, axis1, axis2):
    a = _plain(a)
    order = list(range(a.shape.rank))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return arrays.transpose(a, order)


def moveaxis(a, source, destination):
    a = _plain(a)
    source, destination = ([x] if isinstance(x, int) else list(x) for x in (source, destination))
    rank = a.shape.rank
    order = [i for i in range(rank) if i not in [s % rank for s in source]]
    for to, of in sorted((d % rank, s % rank) for d, s in zip(destination, source)):
        order.insert(to, of)
    return arrays.transpose(a, order)


def concatenate(arys, axis=0):
    return arrays.concat([ravel(a) for a in _promoted(*arys)] if axis is None else _promoted(*arys), axis or 0)


def stack(arys, axis=0):
    if isinstance(arys, _tenon.Tensor):
        arys = arrays.unstack(arys)
    return arrays.stack(_promoted(*arys), axis)


def vstack(tup):
    return concatenate([a if a.shape.rank > 1 else arrays.reshape(a, [1, -1]) for a in map(_plain, tup)])


def hstack(tup):
    parts = [a if a.shape.rank else arrays.reshape(a, [1]) for a in map(_plain, tup)]
    return concatenate(parts, 0 if parts[0].shape.rank == 1 else 1)


def split(ary, indices_or_sections, axis=0):
    ary = _plain(ary)
    if isinstance(indices_or_sections, int):
        return arrays.split(ary, indices_or_sections, axis)
    ends = [0, *indices_or_sections, ary.shape[axis]]
    return arrays.split(ary, [b - a for a, b in zip(ends, ends[1:])], axis)


def where(condition, x=None, y=None):
    condition = elementwise.cast(_plain(condition), "bool")
    if x is None and y is None:
        return nonzero(condition)
    return arrays.where(condition, *_promoted(x, y))


def nonzero(a):
    return arrays.unstack(arrays.where(elementwise.cast(_plain(a), "bool")), axis=1)


def select(condlist, choicelist, default=0):
    """Of the choices the first whose condition is true."""
    chosen = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        chosen = arrays.where(condition, choice, chosen)
    return chosen


def clip(a, a_min, a_max):
    a = _plain(a)
    for bound, function in ((a_min, elementwise.maximum), (a_max, elementwise.minimum)):  # noqa: F821
        if bound is not None:
            a = function(*_promoted(a, bound))
    return a


def take(a, indices, axis=None, out=None, mode="clip"):
    return arrays.gather(ravel(a) if axis is None else _plain(a), _plain(indices), axis=axis or 0)


def take_along_axis(arr, indices, axis):
    arr, indices = _plain(arr), _plain(indices)
    rank = arr.shape.rank
    axis %= rank
    order = [i for i in range(rank) if i != axis] + [axis]
    back = [order.index(i) for i in range(rank)]
    found = arrays.gather(arrays.transpose(arr, order), arrays.transpose(indices, order), axis=-1, batch_dims=rank - 1)
    return arrays.transpose(found, back)


def argmax(a, axis=None):
    return reductions.argmax(ravel(a) if axis is None else _plain(a), axis or 0)


def argmin(a, axis=None):
    return reductions.argmin(ravel(a) if axis is None else _plain(a), axis or 0)


def sort(a, axis=-1, kind="quicksort", order=None):
    return arrays.sort(ravel(a) if axis is None else _plain(a), -1 if axis is None else axis)


def argsort(a, axis=-1, kind="quicksort", order=None):
    places = arrays.argsort(ravel(a) if axis is None else _plain(a), -1 if axis is None else axis, stable=True)
    return elementwise.cast(places, "int64")


def _cumulative(function):
    def apply(a, axis=None, dtype=None):
        a = _plain(a, dtype)
        return function(ravel(a) if axis is None else a, axis or 0)
    return apply


def std(a, axis=None, keepdims=False):
    return reductions.reduce_std(_floating(a), axis, keepdims)


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=None):
    a = _floating(_plain(a, dtype))
    spread = reductions.reduce_variance(a, axis, bool(keepdims))
    if not ddof:
        return spread
    count = reductions.reduce_sum(arrays.ones_like(a), axis, bool(keepdims))
    return spread * count / (count - ddof)


def average(a, axis=None, weights=None, returned=False):
    if returned:
        raise NotImplementedError("average() does not return the sum of the weights.")
    if weights is None:
        return reductions.reduce_mean(_floating(a), axis)
    a, weights = map(_floating, _promoted(a, weights))
    return reductions.reduce_sum(a * weights, axis) / reductions.reduce_sum(weights + arrays.zeros_like(a), axis)


def matmul(x1, x2):
    x1, x2 = _promoted(x1, x2)
    if x1.shape.rank == 1 and x2.shape.rank == 1:
        return linalg.tensordot(x1, x2, 1)
    if x1.shape.rank == 1:
        return arrays.squeeze(linalg.matmul(arrays.expand_dims(x1, 0), x2), [-2])
    if x2.shape.rank == 1:
        return arrays.squeeze(linalg.matmul(x1, arrays.expand_dims(x2, -1)), [-1])
    return linalg.matmul(x1, x2)


def dot(a, b):
    a, b = _promoted(a, b)
    if not a.shape.rank or not b.shape.rank:
        return a * b
    return linalg.tensordot(a, b, [[-1], [max(0, b.shape.rank - 2)]])


def tensordot(a, b, axes=2):
    return linalg.tensordot(*_promoted(a, b), axes)


def inner(a, b):
    a, b = _promoted(a, b)
    return a * b if not a.shape.rank or not b.shape.rank else linalg.tensordot(a, b, [[-1], [-1]])


def outer(a, b):
    a, b = _promoted(a, b)
    return arrays.reshape(a, [-1, 1]) * arrays.reshape(b, [1, -1])


def einsum(subscripts, *operands):
    return linalg.einsum(subscripts, *_promoted(*operands))


def diag(v, k=0):
    v = _plain(v)
    return linalg.diag(v, k=k) if v.shape.rank == 1 else linalg.diag_part(v, k=k)


def trace(a, offset=0, axis1=0, axis2=1, dtype=None):
    return reductions.reduce_sum(linalg.diag_part(_plain(a, dtype), k=offset), -1)


def flip(m, axis=None):
    m = _plain(m)
    return arrays.reverse(m, list(range(m.shape.rank)) if axis is None else [axis])


def tile(a, reps):
    a, reps = _plain(a), [reps] if isinstance(reps, int) else list(reps)
    rank = max(a.shape.rank, len(reps))
    a = arrays.reshape(a, [1] * (rank - a.shape.rank) + a.shape.as_list())
    return arrays.tile(a, [1] * (rank - len(reps)) + reps)


def repeat(a, repeats, axis=None):
    return arrays.repeat(_plain(a), repeats, axis)


def roll(a, shift, axis=None):
    a = _plain(a)
    if axis is None:
        return arrays.reshape(arrays.roll(ravel(a), shift, 0), a.shape.as_list())
    return arrays.roll(a, shift, axis)


def pad(array, pad_width, mode="constant", **kwargs):
    array = _plain(array)
    width = _plain(pad_width)
    width = arrays.broadcast_to(width, [array.shape.rank, 2])
    fill = elementwise.cast(kwargs.get("constant_values", 0), array.dtype)
    return arrays.pad(array, width, mode.upper(), fill)


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    a, b = map(_floating, _promoted(a, b))
    near = abs(a - b) <= atol + rtol * abs(b)
    near = elementwise.logical_or(near, elementwise.equal(a, b))  # noqa: F821
    both = elementwise.logical_and(elementwise.is_nan(a), elementwise.is_nan(b))  # noqa: F821
    return elementwise.logical_or(near, both) if equal_nan else near  # noqa: F821


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return reductions.reduce_all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1, a2):
    a1, a2 = _promoted(a1, a2)
    return reductions.reduce_all(elementwise.equal(a1, a2)) if a1.shape == a2.shape else _tenon.convert(False)


def meshgrid(*xi, indexing="xy"):
    return arrays.meshgrid(*map(_plain, xi), indexing=indexing)


def atleast_1d(*arys):
    made = [a if a.shape.rank else arrays.reshape(a, [1]) for a in map(_plain, arys)]
    return made[0] if len(made) == 1 else made


def tril(m, k=0):
    m = _plain(m)
    return m * _triangle(m, lambda i, j: j <= i + k)


def triu(m, k=0):
    m = _plain(m)
    return m * _triangle(m, lambda i, j: j >= i + k)


def _triangle(m, inside):
    rows, columns = (arrays.range(m.shape[i]) for i in (-2, -1))
    return elementwise.cast(inside(arrays.expand_dims(rows, 1), arrays.expand_dims(columns, 0)), m.dtype)


def diff(a, n=1, axis=-1):
    a = _plain(a)
    for _ in range(n):
        count = a.shape[axis]
        a = arrays.gather(a, arrays.range(1, count), axis=axis) - arrays.gather(a, arrays.range(count - 1), axis=axis)
    return a


def size(x, axis=None):
    return arrays.size(_plain(x)) if axis is None else arrays.shape(_plain(x))[axis]


def result_type(*arrays_and_dtypes):
    import numpy as np
    return np.result_type(*(x.dtype.as_numpy_dtype if isinstance(x, _tenon.Tensor) else x for x in arrays_and_dtypes))


def finfo(dtype):
    import numpy as np
    return np.finfo(_tenon.as_dtype(dtype).as_numpy_dtype)


def iinfo(dtype):
    import numpy as np
    return np.iinfo(_tenon.as_dtype(dtype).as_numpy_dtype)


def _seeded(seed):
    random.set_seed(int(seed))


def _randint(low, high=None, size=None, dtype="int64"):
    low, high = (0, low) if high is None else (low, high)
    return random.uniform([] if size is None else size, low, high, dtype)


def _uniform(low=0.0, high=1.0, size=None):
    return random.uniform([] if size is None else size, low, high, "float64")


_FLOATING = "exp expm1 log log1p sin cos tan sinh cosh tanh sqrt".split()
_NAMES = {
    **{name: _unary(getattr(elementwise, name), True) for name in _FLOATING},
    **{f"arc{name[1:]}": _unary(getattr(elementwise, name), True) for name in "asin acos atan asinh acosh atanh".split()},
    **{f"is{name}": _unary(getattr(elementwise, f"is_{name}"), True) for name in "nan inf".split()},
    **{name: _binary(getattr(elementwise, name)) for name in
       "add subtract multiply maximum minimum equal not_equal greater greater_equal less less_equal".split()},
    **{name: getattr(elementwise, name) for name in "real imag angle".split()},
    "isfinite": _unary(elementwise.is_finite, True), "abs": _unary(abs), "absolute": _unary(abs), "fabs": _unary(abs),
    "negative": _unary(elementwise.negative), "sign": _unary(elementwise.sign), "square": _unary(elementwise.square),
    "floor": _unary(elementwise.floor), "ceil": _unary(elementwise.ceil), "conj": _unary(elementwise.conj),
    "reciprocal": _unary(elementwise.reciprocal, True), "log2": _unary(lambda x: elementwise.log(x) / math.log(2), True),
    "log10": _unary(lambda x: elementwise.log(x) / math.log(10), True), "exp2": _unary(lambda x: 2.0 ** x, True),
    "deg2rad": _unary(lambda x: x * (math.pi / 180), True), "rad2deg": _unary(lambda x: x * (180 / math.pi), True),
    "logical_not": _unary(lambda x: elementwise.logical_not(elementwise.cast(x, "bool"))),
    "divide": _binary(elementwise.divide, True), "true_divide": _binary(elementwise.divide, True),
    "floor_divide": _binary(elementwise.floordiv), "mod": _binary(elementwise.floormod),
    "remainder": _binary(elementwise.floormod), "power": _binary(elementwise.pow),
    "float_power": _binary(elementwise.pow, True), "arctan2": _binary(elementwise.atan2, True),
    "hypot": _binary(lambda x, y: elementwise.sqrt(x * x + y * y), True),
    "logaddexp": _binary(lambda x, y: elementwise.maximum(x, y) + elementwise.log1p(elementwise.exp(-abs(x - y))), True),
    **{f"logical_{name}": _binary(lambda x, y, f=getattr(elementwise, f"logical_{name}"): f(
        elementwise.cast(x, "bool"), elementwise.cast(y, "bool"))) for name in ("and", "or", "xor")},
    "sum": _reduce(reductions.reduce_sum), "prod": _reduce(reductions.reduce_prod),
    "mean": _reduce(reductions.reduce_mean, True),
    **{name: _reduce(getattr(reductions, f"reduce_{name[-3:]}")) for name in ("max", "min", "amax", "amin")},
    "all": _truth(reductions.reduce_all), "any": _truth(reductions.reduce_any),
    "count_nonzero": lambda a, axis=None: reductions.count_nonzero(_plain(a), axis),
    "cumsum": _cumulative(reductions.cumsum), "cumprod": _cumulative(reductions.cumprod),
    "zeros": _filled(0), "ones": _filled(1), "empty": _filled(0), "zeros_like": _like(_filled(0)),
    "ones_like": _like(_filled(1)), "empty_like": _like(_filled(0)),
    "expand_dims": lambda a, axis: arrays.expand_dims(_plain(a), axis),
    "squeeze": lambda a, axis=None: arrays.squeeze(_plain(a), axis),
    "broadcast_to": lambda array, shape: arrays.broadcast_to(_plain(array), shape),
    "around": lambda a, decimals=0: elementwise.round(_plain(a) * 10 ** decimals) / 10 ** decimals if decimals else
    elementwise.round(_plain(a)),
    "shape": lambda a: tuple(_plain(a).shape.as_list()), "ndim": lambda a: _plain(a).shape.rank,
    "isscalar": lambda num: isinstance(num, (int, float, complex, str)) or getattr(num, "ndim", None) == 0,
    "cross": lambda a, b: linalg.cross(*_promoted(a, b)), "kron": lambda a, b: _kron(*_promoted(a, b)),
    "pi": math.pi, "e": math.e, "inf": math.inf, "newaxis": None, "ndarray": _tenon.Tensor}


def _kron(a, b):
    rows, columns = (a.shape[i] * b.shape[i] for i in (0, 1))
    return arrays.reshape(linalg.einsum("ij,kl->ikjl", a, b), [rows, columns])


class _NumpyNames(missing._Namespace):
    """Dtypes are NumPy's, which is loaded when one is asked for."""

    def __getattr__(self, name):
        if name in _DTYPES:
            return _tenon.as_dtype(name).as_numpy_dtype
        return super().__getattr__(name)


_DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
           "complex64", "complex128")
numpy = _NumpyNames("tf.experimental.numpy")
vars(numpy).update({name: value for name, value in globals().items() if not name.startswith("_") and getattr(
    value, "__module__", None) == __name__ and name != "numpy"})
vars(numpy).update(_NAMES, round=_NAMES["around"], random=missing.namespace(
    "tf.experimental.numpy.random", seed=_seeded, randint=_randint, uniform=_uniform, rand=lambda *size: _uniform(0., 1., size),
    random=lambda size=None: _uniform(0., 1., size), randn=lambda *size: random.normal(size, dtype="float64"),
    standard_normal=lambda size=None: random.normal([] if size is None else size, dtype="float64")))
