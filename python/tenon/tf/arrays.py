"""Making, shaping, joining and picking apart tensors."""
import builtins

from tenon import _tenon, nest, raw_ops
from tenon.tensor_methods import boolean_mask as _mask
from tenon.tensor_shape import TensorShape
from tenon.tf import elementwise

newaxis = None


def shape_vector(shape, dtype="int32"):
    """A shape, given as numbers, a TensorShape or a tensor, as a vector."""
    if isinstance(shape, (_tenon.Tensor, _tenon.VariableBase)):
        return shape
    if hasattr(shape, "__index__"):
        shape = [shape]
    if isinstance(shape, TensorShape):
        shape = shape.as_list()
    return _tenon.convert(list(shape), None if any(map(_is_tensor, shape)) else dtype)


def _is_tensor(x):
    return isinstance(x, (_tenon.Tensor, _tenon.VariableBase))


def fill(dims, value, name=None):
    return raw_ops.Fill(dims=shape_vector(dims), value=value, name=name)


def zeros(shape, dtype="float32", name=None, layout=None):
    dtype = _tenon.as_dtype(dtype)
    return fill(shape, _tenon.convert("" if dtype == "string" else False if dtype.is_bool else 0, dtype))


def ones(shape, dtype="float32", name=None, layout=None):
    dtype = _tenon.as_dtype(dtype)
    return fill(shape, _tenon.convert(True if dtype.is_bool else 1, dtype))


def zeros_like(input, dtype=None, name=None, layout=None):  # noqa: A002: TensorFlow's name
    zero = raw_ops.ZerosLike(x=_tenon.convert(input))
    return zero if dtype is None else elementwise.cast(zero, dtype)


def ones_like(input, dtype=None, name=None, layout=None):  # noqa: A002
    one = raw_ops.OnesLike(x=_tenon.convert(input))
    return one if dtype is None else elementwise.cast(one, dtype)


def eye(num_rows, num_columns=None, batch_shape=None, dtype="float32", name=None):
    num_columns = num_rows if num_columns is None else num_columns
    rows, columns = raw_ops.Range(start=0, limit=num_rows, delta=1), raw_ops.Range(start=0, limit=num_columns, delta=1)
    square = elementwise.cast(raw_ops.Equal(x=expand_dims(rows, 1), y=expand_dims(columns, 0)), dtype)
    if batch_shape is None:
        return square
    full = raw_ops.ConcatV2(values=[shape_vector(batch_shape), raw_ops.Shape(input=square)], axis=0)
    return broadcast_to(square, full)


def range(start, limit=None, delta=1, dtype=None, name="range"):  # noqa: A001: TensorFlow's name
    """Numbers from `start` to `limit`, or from 0 to `start`; of the widest dtype of the three."""
    if limit is None:
        start, limit = 0, start
    if dtype is None:
        converted = [_tenon.convert(x) for x in (start, limit, delta)]
        order = ["int32", "int64", "float16", "bfloat16", "float32", "float64"]
        dtype = max((x.dtype.name for x in converted), key=lambda n: order.index(n) if n in order else 0)
    start, limit, delta = (elementwise.cast(x, dtype) for x in (start, limit, delta))
    return raw_ops.Range(start=start, limit=limit, delta=delta, name=name)


def linspace(start, stop, num, name=None, axis=0):
    start = _tenon.convert(start)
    return raw_ops.LinSpace(start=start, stop=stop, num=num, name=name)


def identity(input, name=None):  # noqa: A002
    return raw_ops.Identity(input=_tenon.convert(input), name=name)


def shape(input, out_type="int32", name=None):  # noqa: A002
    return raw_ops.Shape(input=_tenon.convert(input), out_type=out_type, name=name)


def rank(input, name=None):  # noqa: A002
    return raw_ops.Rank(input=_tenon.convert(input), name=name)


def size(input, out_type="int32", name=None):  # noqa: A002
    return raw_ops.Size(input=_tenon.convert(input), out_type=out_type, name=name)


def reshape(tensor, shape, name=None):
    return raw_ops.Reshape(tensor=tensor, shape=shape_vector(shape), name=name)


def expand_dims(input, axis, name=None):  # noqa: A002
    return raw_ops.ExpandDims(input=_tenon.convert(input), axis=axis, name=name)


def squeeze(input, axis=None, name=None):  # noqa: A002
    axis = [] if axis is None else [axis] if hasattr(axis, "__index__") else list(axis)
    return raw_ops.Squeeze(input=_tenon.convert(input), axis=axis, name=name)


def transpose(a, perm=None, conjugate=False, name="transpose"):
    a = _tenon.convert(a)
    if perm is None:
        count = a.shape.rank
        perm = list(builtins.range(count))[::-1] if count is not None else raw_ops.Range(
            start=raw_ops.Rank(input=a) - 1, limit=-1, delta=-1)
    op = raw_ops.ConjugateTranspose if conjugate and a.dtype.is_complex else raw_ops.Transpose
    return op(x=a, perm=_tenon.convert(perm))


def concat(values, axis, name="concat"):
    if not isinstance(values, (list, tuple)):
        values = [values]
    values = list(values)
    if len(values) == 1:
        return identity(values[0])
    return raw_ops.ConcatV2(values=values, axis=axis, name=name)


def stack(values, axis=0, name="stack"):
    values = list(values) if isinstance(values, (list, tuple)) else unstack(values)
    return raw_ops.Pack(values=values, axis=axis, name=name)


def unstack(value, num=None, axis=0, name="unstack"):
    value = _tenon.convert(value)
    if num is None:
        num = value.shape[axis]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {value.shape}")
    return raw_ops.Unpack(value=value, num=num, axis=axis, name=name)


def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    value = _tenon.convert(value)
    if hasattr(num_or_size_splits, "__index__"):
        return raw_ops.Split(axis=axis, value=value, num_split=int(num_or_size_splits), name=name)
    sizes = _tenon.convert(num_or_size_splits)
    num = sizes.shape[0] if num is None else num
    return raw_ops.SplitV(value=value, size_splits=sizes, axis=axis, num_split=num, name=name)


def tile(input, multiples, name=None):  # noqa: A002
    return raw_ops.Tile(input=_tenon.convert(input), multiples=shape_vector(multiples), name=name)


def repeat(input, repeats, axis=None, name=None):  # noqa: A002
    """Each element `repeats` times, a number; of the flat tensor where there is no axis."""
    input = _tenon.convert(input)  # noqa: A001
    if axis is None:
        input, axis = reshape(input, [-1]), 0  # noqa: A001
    if not hasattr(repeats, "__index__"):
        raise ValueError("repeat() takes one number of repeats for all elements.")
    axis = axis + input.shape.rank if axis < 0 else axis
    copies = [1] * (input.shape.rank + 1)
    copies[axis + 1] = int(repeats)
    wide = tile(expand_dims(input, axis + 1), copies)
    dims = shape(input)
    grown = [dims[i] * int(repeats) if i == axis else dims[i] for i in builtins.range(input.shape.rank)]
    return reshape(wide, raw_ops.Pack(values=grown))


def broadcast_to(input, shape, name=None):  # noqa: A002
    return raw_ops.BroadcastTo(input=_tenon.convert(input), shape=shape_vector(shape), name=name)


def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    tensor = _tenon.convert(tensor)
    paddings = _tenon.convert(paddings)
    if mode.upper() != "CONSTANT":
        return raw_ops.MirrorPad(input=tensor, paddings=paddings, mode=mode.upper(), name=name)
    return raw_ops.PadV2(input=tensor, paddings=paddings, constant_values=constant_values, name=name)


def reverse(tensor, axis, name=None):
    axis = [axis] if hasattr(axis, "__index__") else axis
    return raw_ops.ReverseV2(tensor=tensor, axis=axis, name=name)


def roll(input, shift, axis, name=None):  # noqa: A002
    return raw_ops.Roll(input=_tenon.convert(input), shift=shift, axis=axis, name=name)


def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    axis = batch_dims if axis is None else axis
    return raw_ops.GatherV2(params=_tenon.convert(params), indices=indices, axis=axis, batch_dims=batch_dims, name=name)


def gather_nd(params, indices, batch_dims=0, name=None):
    if batch_dims:
        raise ValueError("gather_nd() takes batch_dims=0 only.")
    return raw_ops.GatherNd(params=_tenon.convert(params), indices=indices, name=name)


def scatter_nd(indices, updates, shape, name=None):
    return raw_ops.ScatterNd(indices=indices, updates=updates, shape=shape_vector(shape), name=name)


def tensor_scatter_nd_update(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterUpdate(tensor=tensor, indices=indices, updates=updates, name=name)


def tensor_scatter_nd_add(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterAdd(tensor=tensor, indices=indices, updates=updates, name=name)


def slice(input_, begin, size, name=None):  # noqa: A001
    return raw_ops.Slice(input=_tenon.convert(input_), begin=shape_vector(begin), size=shape_vector(size), name=name)


def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    if axis not in (None, 0):
        raise ValueError("boolean_mask() takes axis=0 only.")
    return _mask(_tenon.convert(tensor), mask)


def where(condition, x=None, y=None, name=None):
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    condition = _tenon.convert(condition, "bool") if not _is_tensor(condition) else condition
    if x is None:
        return raw_ops.Where(condition=condition, name=name)
    if not _is_tensor(x) and _is_tensor(y):
        x = _tenon.convert(x, y.dtype)
    return raw_ops.SelectV2(condition=condition, t=x, e=y, name=name)


def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name=None):
    for value in (on_value, off_value):
        if dtype is None and value is not None:
            dtype = _tenon.convert(value).dtype
    dtype = _tenon.as_dtype("float32" if dtype is None else dtype)
    on = _tenon.convert((True if dtype.is_bool else 1) if on_value is None else on_value, dtype)
    off = _tenon.convert((False if dtype.is_bool else 0) if off_value is None else off_value, dtype)
    return raw_ops.OneHot(indices=indices, depth=depth, on_value=on, off_value=off, axis=-1 if axis is None else axis)


def meshgrid(*args, indexing="xy", name="meshgrid"):
    """Coordinates of a grid, for the first axis along the columns ("xy") or along the rows ("ij")."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Argument `indexing` parameter must be either 'xy' or 'ij', got '" + str(indexing) + "'")
    args = [reshape(a, [-1]) for a in args]
    sizes = [size(a) for a in args]
    grid = []
    for i, each in enumerate(args):
        dims = [1] * len(args)
        dims[i] = -1
        grid.append(broadcast_to(reshape(each, dims), raw_ops.Pack(values=sizes)))
    if indexing == "xy" and len(args) > 1:
        order = [1, 0] + list(builtins.range(2, len(args)))
        grid = [transpose(g, order) for g in grid]
    return grid


def sort(values, axis=-1, direction="ASCENDING", name=None):
    values = _tenon.convert(values)
    return gather_sorted(values, axis, direction)[0]


def argsort(values, axis=-1, direction="ASCENDING", stable=False, name=None):
    return gather_sorted(_tenon.convert(values), axis, direction)[1]


def gather_sorted(values, axis, direction):
    """Values and places in order along an axis, by TopKV2."""
    count = values.shape.rank
    axis = axis + count if axis < 0 else axis
    order = [i for i in builtins.range(count) if i != axis] + [axis]
    back = [order.index(i) for i in builtins.range(count)]
    moved = transpose(values, order)
    descending = direction == "DESCENDING"
    if not descending:
        # ~x is order-reversing for all integers; -x for floating-point numbers.
        moved = raw_ops.Invert(x=moved) if moved.dtype.is_integer else -moved
    top = raw_ops.TopKV2(input=moved, k=shape(moved)[-1])
    found = top.values
    if not descending:
        found = raw_ops.Invert(x=found) if found.dtype.is_integer else -found
    return transpose(found, back), transpose(top.indices, back)


def unique(x, out_idx="int32", name=None):
    return raw_ops.Unique(x=_tenon.convert(x), out_idx=out_idx, name=name)


def group(*inputs, **_):
    """Ops run when they are called, in a traced function too: there is nothing to wait for."""
    nest.flatten(inputs)
