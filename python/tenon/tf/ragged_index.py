"""Indexing ragged tensors, and gathering from them."""
from tenon import _tenon, raw_ops
from tenon.tf.ragged_tensor import RaggedTensor, cast, static_number


def gather(params, indices, axis=0):
    """Rows of `params` at `indices`; either may be ragged."""
    if isinstance(indices, RaggedTensor) and axis != 0 and not isinstance(params, RaggedTensor):
        return _columns_of(params, indices, axis)
    if isinstance(indices, RaggedTensor):
        return indices.with_values(gather(params, indices.values, axis))
    indices = _tenon.convert(indices)
    if not isinstance(params, RaggedTensor):
        return raw_ops.GatherV2(params=params, indices=indices, axis=axis)
    if axis != 0:
        if indices.shape.rank == 0:
            return params.with_values(gather(params.values, indices, axis - 1))
        raise NotImplementedError("gather() of a ragged tensor goes along its first dimension.")
    if indices.dtype not in ("int32", "int64"):
        indices = cast(indices, "int64")
    if indices.shape.rank is None:
        raise ValueError("gather() of a ragged tensor needs indices of known rank.")
    rank = indices.shape.rank + params.ragged_rank - 1
    if indices.shape.rank == 0:
        row = gather(params, raw_ops.ExpandDims(input=indices, axis=0))
        return row.values
    found = raw_ops.RaggedGather(params_nested_splits=list(params.nested_row_splits), params_dense_values=params.flat_values,
                                 indices=indices, OUTPUT_RAGGED_RANK=rank)
    splits, made = found.output_nested_splits, found.output_dense_values
    if made.is_symbolic:
        made.set_shape([None] + params.flat_values.shape.as_list()[1:])
        if indices.shape[0] is not None:
            splits[0].set_shape([indices.shape[0] + 1])
    uniform = [None] * (indices.shape.rank - 1) + [level._uniform for level in params._levels()]
    for level, length in zip(reversed(splits), reversed(uniform)):
        made = RaggedTensor._make(made, level, length)
    return made


def _columns_of(params, indices, axis):
    """What `indices` say along a later dimension of a tensor."""
    params = _tenon.convert(params)
    if indices.ragged_rank != 1 or params.shape.rank is None:
        raise NotImplementedError("gather() of a tensor takes ragged indices of one ragged dimension, and a tensor of known rank.")
    axis %= params.shape.rank
    shape = raw_ops.Shape(input=params)
    outer = [shape[i] if params.shape[i] is None else params.shape[i] for i in range(1, axis)]
    if outer:  # the dimensions before it are one for a while
        rows = raw_ops.StridedSlice(input=shape, begin=[axis], end=[params.shape.rank], strides=[1])
        known = params.shape[axis:]
        params = raw_ops.Reshape(tensor=params, shape=raw_ops.ConcatV2(values=[_tenon.convert([-1], "int32"), rows], axis=0))
        params.set_shape([None] + known.as_list())
    found = _of_rows(params, indices)
    for length in reversed(outer):
        found = RaggedTensor.from_uniform_row_length(found, length, validate=False)
    return found


def _of_rows(params, indices):
    """What `indices` say of each row of a tensor."""
    splits = indices.row_splits
    found = raw_ops.GatherV2(params=params, indices=indices.values, axis=1)
    rows = raw_ops.Range(start=_tenon.convert(0, splits.dtype), limit=raw_ops.Shape(
        input=params, out_type=splits.dtype)[0], delta=_tenon.convert(1, splits.dtype))
    ends = raw_ops.ExpandDims(input=rows * splits[-1], axis=1) + splits[1:]
    ends = raw_ops.ConcatV2(values=[_tenon.convert([0], splits.dtype), raw_ops.Reshape(tensor=ends, shape=[-1])], axis=0)
    from tenon.tf.ragged_conversion import merge_dims
    count = indices.shape[0]
    return RaggedTensor.from_uniform_row_length(RaggedTensor._make(merge_dims(found, 0, 1), ends),
                                                indices.nrows() if count is None else count,
                                                nrows=raw_ops.Shape(input=params, out_type="int64")[0], validate=False)


def getitem(ragged, key):
    """TensorFlow's: rows by number or slice, slices within rows; numbers within rows only where these are uniform."""
    keys = list(key) if isinstance(key, (tuple, list)) else [key]
    if sum(k is Ellipsis for k in keys) > 1:
        raise ValueError("an index can only have a single ellipsis ('...')")
    return _rows(ragged, keys)


def _expanded(keys, rank):
    """`keys`, whose first is an ellipsis, with slices for it."""
    if rank is None:
        raise ValueError("Ellipsis not supported for unknown shape RaggedTensors")
    count = rank - sum(1 for k in keys[1:] if k is not None)
    return [slice(None)] * max(0, count) + keys[1:]


def _is_number(key):
    return isinstance(key, (_tenon.Tensor, _tenon.VariableBase)) and key.shape.rank == 0 or hasattr(key, "__index__")


def _rows(ragged, keys):
    if not keys:
        return ragged
    key, rest = keys[0], keys[1:]
    if not isinstance(ragged, RaggedTensor):
        return ragged[tuple(keys)]
    if key is Ellipsis:
        return _rows(ragged, _expanded(keys, ragged.shape.rank))
    if key is None:
        inner = _rows(ragged, rest)
        return RaggedTensor.from_uniform_row_length(inner, _count(inner), nrows=1, validate=False)
    if isinstance(key, slice):
        return _within_rows(_sliced(ragged, key), rest)
    if not _is_number(key):
        raise TypeError(f"Value passed to RaggedTensor index has the type {type(key).__name__}: only integers, slices (`:`), "
                        "ellipsis (`...`), tf.newaxis (`None`) and scalar tensors are valid indices.")
    known = ragged.shape[0]
    place = static_number(key) if known is not None else None
    if place is not None and not -known <= place < known:
        raise IndexError(f"Row key {place} out of bounds")
    row = ragged.values[ragged.row_starts()[key]:ragged.row_limits()[key]]
    if isinstance(ragged._uniform, int) and isinstance(row, _tenon.Tensor) and row.is_symbolic:
        row.set_shape([ragged._uniform] + row.shape.as_list()[1:])
    return _rows(row, rest) if rest else row


def _count(value):
    from tenon.tf.ragged_tensor import rows_of
    known = value.shape[0]
    return rows_of(value) if known is None else known


def _sliced(ragged, key):
    """Rows of a slice."""
    if key.start is None and key.stop is None and key.step is None:
        return ragged
    starts, limits = ragged.row_starts()[key], ragged.row_limits()[key]
    if key.step in (None, 1):
        dtype = ragged.row_splits.dtype
        zero = _tenon.convert([0], dtype)
        first = raw_ops.ConcatV2(values=[starts, zero], axis=0)[0]
        last = raw_ops.ConcatV2(values=[zero, limits], axis=0)[-1]
        splits = raw_ops.ConcatV2(values=[raw_ops.Reshape(tensor=first, shape=[1]), limits], axis=0) - first
        return RaggedTensor._make(ragged.values[first:last], splits, ragged._uniform)
    return _ranges(ragged, starts, limits, 1, ragged._uniform)


def _ranges(ragged, starts, limits, step, uniform=None):
    """Rows of the values from `starts` to `limits`."""
    dtype = ragged.row_splits.dtype
    found = raw_ops.RaggedRange(starts=starts, limits=limits, deltas=_tenon.convert(step, dtype), Tsplits=dtype)
    splits = found.rt_nested_splits
    if splits.is_symbolic:
        splits.set_shape([None if starts.shape[0] is None else starts.shape[0] + 1])
    return RaggedTensor._make(gather(ragged.values, found.rt_dense_values), splits, uniform)


def _within_rows(ragged, keys):
    if not keys:
        return ragged
    key, rest = keys[0], keys[1:]
    if not isinstance(ragged, RaggedTensor):
        return ragged[(slice(None), *keys)]
    if key is Ellipsis:
        rank = ragged.shape.rank
        return _within_rows(ragged, _expanded(keys, None if rank is None else rank - 1))
    if key is None:
        inner = _within_rows(ragged, rest)
        return RaggedTensor.from_uniform_row_length(inner, 1, nrows=_count(inner), validate=False)
    if isinstance(key, slice):
        columns = _columns(ragged, key)
        return columns.with_values(_within_rows(columns.values, rest))
    if not _is_number(key):
        raise TypeError(f"Value passed to RaggedTensor index has the type {type(key).__name__}.")
    if ragged._uniform is None:
        raise ValueError("Cannot index into an inner ragged dimension.")
    dtype = ragged.row_splits.dtype
    place = cast(_tenon.convert(key), dtype)
    length = ragged.uniform_row_length
    place = raw_ops.SelectV2(condition=place < 0, t=place + length, e=place)
    raw_ops.Assert(condition=raw_ops.LogicalAnd(x=place >= 0, y=place < length),
                   data=[f"slice index {key} of a uniform dimension is out of bounds"], summarize=3)
    return _rows(gather(ragged.values, ragged.row_starts() + place), [slice(None), *rest])


def _columns(ragged, key):
    """The part of each row that a slice takes."""
    if key.start is None and key.stop is None and key.step is None:
        return ragged
    step = 1 if key.step is None else int(key.step)
    if step == 0:
        raise ValueError("slice step cannot be zero")
    dtype = ragged.row_splits.dtype
    lengths, starts = ragged.row_lengths(), ragged.row_starts()
    least, most = (0, lengths) if step > 0 else (-1, lengths - 1)
    least = _tenon.convert(least, dtype)

    def place(bound, otherwise):
        if bound is None:
            return otherwise
        bound = cast(_tenon.convert(bound), dtype)
        bound = raw_ops.SelectV2(condition=bound < 0, t=bound + lengths, e=raw_ops.ZerosLike(x=lengths) + bound)
        return raw_ops.Minimum(x=raw_ops.Maximum(x=bound, y=least), y=most)

    begin, end = (least, most) if step > 0 else (most, least)
    return _ranges(ragged, starts + place(key.start, begin), raw_ops.ZerosLike(x=starts) + starts + place(key.stop, end), step,
                   _uniform_part(ragged, key))


def _uniform_part(ragged, key):
    """How long the parts are, where rows have one known length."""
    if not isinstance(ragged._uniform, int) or any(isinstance(b, _tenon.Tensor) for b in (key.start, key.stop, key.step)):
        return None
    return len(range(*key.indices(ragged._uniform)))
