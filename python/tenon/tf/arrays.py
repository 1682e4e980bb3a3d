"""Making, shaping, joining and picking apart tensors."""
import builtins

from tenon import _tenon, nest, raw_ops
from tenon.tensor_methods import boolean_mask as _mask
from tenon.eager import init_scope
from tenon.tensor_shape import as_shape, is_number, TensorShape
from tenon.tf import elementwise

newaxis = None


def shape_vector(shape, dtype="int32"):
    """A shape, given as numbers, a TensorShape or a tensor, as a vector."""
    if isinstance(shape, (_tenon.Tensor, _tenon.VariableBase)):
        return raw_ops.Reshape(tensor=shape, shape=[-1]) if shape.shape.rank == 0 else shape
    if is_number(shape):
        shape = [shape]
    if isinstance(shape, TensorShape):
        shape = shape.as_list()
    shape = list(shape)
    tensors = [s for s in shape if _is_tensor(s)]
    if not tensors:
        return _tenon.convert(shape, dtype)
    if len({t.dtype for t in tensors}) > 1 or not tensors[0].dtype.is_integer:
        wide = "int64" if any(t.dtype == "int64" for t in tensors) else "int32"
        shape = [elementwise.cast(s, wide) for s in shape]
    return known_in_part(_tenon.convert(shape), [_known_number(s) for s in shape])


def known_in_part(tensor, numbers):
    """`tensor`, of which these numbers are known while a function is traced, and not where they are None."""
    if tensor.is_symbolic:
        tensor.partly_known = numbers
    return tensor


def _known_number(value):
    """A number, or what a scalar is known to be; None where it is not."""
    if not _is_tensor(value):
        return int(value)
    partly = getattr(value, "partly_known", None)
    if partly is not None:
        return partly
    known = static_value(value) if isinstance(value, _tenon.Tensor) and value.shape.rank == 0 else None
    return None if known is None else int(known)


def with_shape_of(tensor, vector):
    """`tensor`, whose shape is `vector`, knowing what is known of it."""
    partly = getattr(vector, "partly_known", None)
    if partly is not None and tensor.is_symbolic:
        tensor.set_shape([None if d is None or d < 0 else d for d in partly])
    return tensor


def _is_tensor(x):
    return isinstance(x, (_tenon.Tensor, _tenon.VariableBase))


def static_value(tensor):
    """What a tensor holds, as an array, where that is known already; otherwise None."""
    if isinstance(tensor, _tenon.Tensor) and tensor.is_symbolic:
        partly = getattr(tensor, "partly_known", None)
        if isinstance(partly, int) or (partly is not None and None not in partly):
            import numpy as np
            return np.asarray(partly, tensor.dtype.as_numpy_dtype)
        tensor = _tenon.static_value(tensor)
        return None if tensor is None else tensor.numpy()
    if isinstance(tensor, (list, tuple)) and any(_is_tensor(x) and static_value(x) is None for x in tensor):
        return None
    if isinstance(tensor, (list, tuple)):
        import numpy as np
        return np.asarray([static_value(x) if _is_tensor(x) else x for x in tensor])
    with init_scope():
        value = _tenon.convert(tensor).numpy()
    return value if hasattr(value, "reshape") else value


get_static_value = static_value


def fill(dims, value, name=None):
    dims = shape_vector(dims)
    return with_shape_of(raw_ops.Fill(dims=dims, value=value, name=name), dims)


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
    """`num` numbers from `start` to `stop`, which may have dimensions; those of the numbers are at `axis`."""
    start = _tenon.convert(start)
    stop = _tenon.convert(stop, None if hasattr(stop, "dtype") else start.dtype)
    count = static_value(num)
    if start.shape.rank == 0 and stop.shape.rank == 0 and start.dtype.is_floating and (count is None or count > 0):
        return raw_ops.LinSpace(start=start, stop=stop, num=num, name=name)
    kind = start.dtype if start.dtype.is_floating else "float64"
    start, stop = elementwise.cast(start, kind), elementwise.cast(stop, kind)
    both = raw_ops.BroadcastArgs(s0=shape(start), s1=shape(stop))
    rank = max(start.shape.rank, stop.shape.rank)
    axis = axis + rank + 1 if axis < 0 else axis
    start, stop = (expand_dims(broadcast_to(x, both), axis) for x in (start, stop))
    steps = reshape(raw_ops.Range(start=0, limit=elementwise.cast(num, "int32"), delta=1),
                    [-1 if i == axis else 1 for i in builtins.range(rank + 1)])
    last = elementwise.cast(num, "int32") - 1
    between = start + (stop - start) / elementwise.cast(raw_ops.Maximum(x=last, y=1), kind) * elementwise.cast(steps, kind)
    return raw_ops.SelectV2(condition=raw_ops.LogicalAnd(x=raw_ops.Equal(x=steps, y=last), y=last > 0), t=stop, e=between)


def identity(input, name=None):  # noqa: A002
    return raw_ops.Identity(input=_tenon.convert(input), name=name)


def shape(input, out_type="int32", name=None):  # noqa: A002
    input = _tenon.convert(input)  # noqa: A001
    vector = raw_ops.Shape(input=input, out_type=out_type, name=name)
    if input.is_symbolic and input.shape.rank is not None:
        known_in_part(vector, input.shape.as_list())
    return vector


def rank(input, name=None):  # noqa: A002
    return raw_ops.Rank(input=_tenon.convert(input), name=name)


def size(input, out_type="int32", name=None):  # noqa: A002
    return raw_ops.Size(input=_tenon.convert(input), out_type=out_type, name=name)


def reshape(tensor, shape, name=None):
    shape = shape_vector(shape)
    return with_shape_of(raw_ops.Reshape(tensor=tensor, shape=shape, name=name), shape)


def expand_dims(input, axis, name=None):  # noqa: A002
    return raw_ops.ExpandDims(input=_tenon.convert(input), axis=axis, name=name)


def squeeze(input, axis=None, name=None):  # noqa: A002
    axis = [] if axis is None else [axis] if is_number(axis) else list(axis)
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
    out = raw_ops.ConcatV2(values=values, axis=axis, name=name)
    if out.is_symbolic and out.shape.rank == 1 and out.dtype.is_integer:
        parts = [_known_vector(v) for v in values]
        if all(part is not None for part in parts):
            known_in_part(out, [n for part in parts for n in part])
    return out


def _known_vector(value):
    """What is known of each number of a vector; None where not even their count is."""
    partly = getattr(value, "partly_known", None)
    if partly is not None:
        return partly
    if isinstance(value, (list, tuple)):
        return [_known_number(v) for v in value]
    known = static_value(value)
    return None if known is None else [int(n) for n in known.reshape(-1)]


def stack(values, axis=0, name="stack"):
    values = list(values) if isinstance(values, (list, tuple)) else unstack(values)
    out = raw_ops.Pack(values=values, axis=axis, name=name)
    if out.is_symbolic and out.shape.rank == 1 and out.dtype.is_integer:
        known_in_part(out, [_known_number(v) for v in values])
    return out


def unstack(value, num=None, axis=0, name="unstack"):
    value = _tenon.convert(value)
    if num is None:
        num = value.shape[axis]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {value.shape}")
    return raw_ops.Unpack(value=value, num=num, axis=axis, name=name)


def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    value = _tenon.convert(value)
    if is_number(num_or_size_splits):
        return raw_ops.Split(axis=axis, value=value, num_split=int(num_or_size_splits), name=name)
    sizes = _tenon.convert(num_or_size_splits)
    num = sizes.shape[0] if num is None else num
    return raw_ops.SplitV(value=value, size_splits=sizes, axis=axis, num_split=num, name=name)


def tile(input, multiples, name=None):  # noqa: A002
    input, multiples = _tenon.convert(input), shape_vector(multiples)  # noqa: A001
    out = raw_ops.Tile(input=input, multiples=multiples, name=name)
    partly = getattr(multiples, "partly_known", None)
    if partly is not None and input.shape.rank == len(partly):
        out.set_shape([None if m is None or d is None else m * d for m, d in zip(partly, input.shape)])
    return out


def repeat(input, repeats, axis=None, name=None):  # noqa: A002
    """Each element `repeats` times, one number or one for each; of the flat tensor where there is no axis."""
    input = _tenon.convert(input)  # noqa: A001
    if axis is None:
        input, axis = reshape(input, [-1]), 0  # noqa: A001
    axis = axis + input.shape.rank if axis < 0 else axis
    repeats = _tenon.convert(repeats)
    dims = shape(input)
    if repeats.shape.rank == 0 or repeats.shape == [1]:
        count = elementwise.cast(reshape(repeats, []), "int32")
        copies = raw_ops.Pack(values=[count if i == axis + 1 else 1 for i in builtins.range(input.shape.rank + 1)])
        wide = tile(expand_dims(input, axis + 1), copies)
        grown = [dims[i] * count if i == axis else dims[i] for i in builtins.range(input.shape.rank)]
        return _kept_but(axis, input, reshape(wide, raw_ops.Pack(values=grown)))
    repeats = elementwise.cast(repeats, "int32")
    most = raw_ops.Maximum(x=raw_ops.Max(input=repeats, axis=[0]), y=0)
    used = sequence_mask(repeats, most)
    places = tile(expand_dims(raw_ops.Range(start=0, limit=dims[axis], delta=1), 1), raw_ops.Pack(values=[1, most]))
    return _kept_but(axis, input, gather(input, _mask(places, used), axis=axis))


def _kept_but(axis, before, after):
    """`after`, whose dimensions but that one are those of `before`."""
    if after.is_symbolic:
        after.set_shape([None if i == axis else d for i, d in enumerate(before.shape.as_list())])
    return after


def sequence_mask(lengths, maxlen=None, dtype="bool", name=None):
    """[..., i]: whether i is less than the length."""
    lengths = _tenon.convert(lengths)
    if maxlen is None:
        maxlen = raw_ops.Maximum(x=raw_ops.Max(input=reshape(lengths, [-1]), axis=[0]), y=_tenon.convert(0, lengths.dtype))
    steps = raw_ops.Range(start=_tenon.convert(0, lengths.dtype), limit=elementwise.cast(maxlen, lengths.dtype),
                          delta=_tenon.convert(1, lengths.dtype))
    mask = steps < expand_dims(lengths, -1)
    return mask if _tenon.as_dtype(dtype) == "bool" else elementwise.cast(mask, dtype)


def broadcast_to(input, shape, name=None):  # noqa: A002
    shape = shape_vector(shape)
    return with_shape_of(raw_ops.BroadcastTo(input=_tenon.convert(input), shape=shape, name=name), shape)


def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    tensor = _tenon.convert(tensor)
    paddings = _tenon.convert(paddings)
    if mode.upper() != "CONSTANT":
        return raw_ops.MirrorPad(input=tensor, paddings=paddings, mode=mode.upper(), name=name)
    if isinstance(constant_values, (int, float)) and constant_values == 0:  # of any dtype
        return raw_ops.Pad(input=tensor, paddings=paddings, name=name)
    return raw_ops.PadV2(input=tensor, paddings=paddings, constant_values=constant_values, name=name)


def reverse(tensor, axis, name=None):
    axis = [axis] if is_number(axis) else axis
    return raw_ops.ReverseV2(tensor=tensor, axis=axis, name=name)


def roll(input, shift, axis, name=None):  # noqa: A002
    return raw_ops.Roll(input=_tenon.convert(input), shift=shift, axis=axis, name=name)


def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    axis = batch_dims if axis is None else axis
    return raw_ops.GatherV2(params=_tenon.convert(params), indices=indices, axis=axis, batch_dims=batch_dims, name=name)


def gather_nd(params, indices, batch_dims=0, name=None):
    params, indices = _tenon.convert(params), _tenon.convert(indices)
    if batch_dims:
        # The places in front of those that are given are the element's own.
        dims = shape(indices, indices.dtype.name)
        own = []
        for i in builtins.range(batch_dims):
            at = reshape(raw_ops.Range(start=_tenon.convert(0, indices.dtype), limit=dims[i],
                                       delta=_tenon.convert(1, indices.dtype)),
                         [-1 if j == i else 1 for j in builtins.range(indices.shape.rank)])
            own.append(broadcast_to(at, raw_ops.ConcatV2(values=[dims[:-1], _tenon.convert([1], dims.dtype)], axis=0)))
        indices = raw_ops.ConcatV2(values=own + [indices], axis=-1)
    return raw_ops.GatherNd(params=params, indices=indices, name=name)


def scatter_nd(indices, updates, shape, name=None):
    indices = _tenon.convert(indices)
    shape = shape_vector(shape, indices.dtype.name)
    if shape.dtype != indices.dtype:
        shape = elementwise.cast(shape, indices.dtype)
    return raw_ops.ScatterNd(indices=indices, updates=updates, shape=shape, name=name)


def tensor_scatter_nd_update(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterUpdate(tensor=tensor, indices=indices, updates=updates, name=name)


def tensor_scatter_nd_add(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterAdd(tensor=tensor, indices=indices, updates=updates, name=name)


def tensor_scatter_nd_sub(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterSub(tensor=tensor, indices=indices, updates=updates, name=name)


def tensor_scatter_nd_max(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterMax(tensor=tensor, indices=indices, updates=updates, name=name)


def tensor_scatter_nd_min(tensor, indices, updates, name=None):
    return raw_ops.TensorScatterMin(tensor=tensor, indices=indices, updates=updates, name=name)


def slice(input_, begin, size, name=None):  # noqa: A001
    size = shape_vector(size)
    return with_shape_of(raw_ops.Slice(input=_tenon.convert(input_), begin=shape_vector(begin), size=size, name=name),
                         size)


def strided_slice(input_, begin, end, strides=None, var=None, name=None, **masks):
    strides = raw_ops.OnesLike(x=shape_vector(begin)) if strides is None else shape_vector(strides)
    return raw_ops.StridedSlice(input=input_, begin=shape_vector(begin), end=shape_vector(end), strides=strides, **masks)


def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    tensor, mask = _tenon.convert(tensor), _tenon.convert(mask)
    axis = 0 if axis is None else int(axis)
    if not axis:
        return _mask(tensor, mask)
    axis = axis + tensor.shape.rank if axis < 0 else axis
    rank = mask.shape.rank
    dims = shape(tensor)
    flat = reshape(tensor, raw_ops.ConcatV2(values=[dims[:axis], [-1], dims[axis + rank:]], axis=0))
    places = squeeze(raw_ops.Where(condition=reshape(mask, [-1])), [1])
    return gather(flat, places, axis=axis)


def where(condition, x=None, y=None, name=None):
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    condition = _tenon.convert(condition, "bool") if not _is_tensor(condition) else condition
    if x is None:
        return raw_ops.Where(condition=condition, name=name)
    if not _is_tensor(x) and _is_tensor(y):
        x = _tenon.convert(x, y.dtype)
    chosen = raw_ops.SelectV2(condition=condition, t=x, e=y, name=name)
    if chosen.is_symbolic and chosen.shape.rank is None:  # of open dimensions
        shape = TensorShape([])
        for each in (condition, x, y):
            shape = broadcast_static_shape(shape, each.shape if _is_tensor(each) else _tenon.convert(each).shape)
        chosen.set_shape(shape)
    return chosen


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


def unique_with_counts(x, out_idx="int32", name=None):
    return raw_ops.UniqueWithCounts(x=_tenon.convert(x), out_idx=out_idx, name=name)


def reverse_sequence(input, seq_lengths, seq_axis=None, batch_axis=None, name=None):  # noqa: A002
    return raw_ops.ReverseSequence(input=_tenon.convert(input), seq_lengths=seq_lengths, seq_dim=seq_axis,
                                   batch_dim=batch_axis or 0, name=name)


def searchsorted(sorted_sequence, values, side="left", out_type="int32", name=None):
    """Where each value belongs in the sorted rows: before its equals ("left") or behind them."""
    rows, values = _tenon.convert(sorted_sequence), _tenon.convert(values)
    flat_rows = reshape(rows, raw_ops.Pack(values=[-1, shape(rows)[-1]]))
    flat = reshape(values, raw_ops.Pack(values=[-1, shape(values)[-1]]))
    op = raw_ops.LowerBound if side == "left" else raw_ops.UpperBound
    return reshape(op(sorted_inputs=flat_rows, values=flat, out_type=out_type), shape(values))


def ensure_shape(x, shape, name=None):
    return raw_ops.EnsureShape(input=_tenon.convert(x), shape=as_shape(shape))


def group(*inputs, **_):
    """Ops run when they are called, in a traced function too: there is nothing to wait for."""
    nest.flatten(inputs)
