"""What functions of tensors do with ragged ones: element by element, along rows, joined, reduced."""
from tenon import _tenon, raw_ops
from tenon.tf import ragged_index
from tenon.tf.ragged_conversion import from_tensor
from tenon.tf.ragged_tensor import RaggedTensor, cast, places_in_rows, rows_of, running_total


def is_ragged(value):
    return isinstance(value, RaggedTensor)


def same_rows(ragged):
    """The first of these ragged tensors. InvalidArgumentError where others have other rows."""
    first = ragged[0]
    for other in ragged[1:]:
        if other.ragged_rank != first.ragged_rank:
            raise ValueError("All ragged inputs must have the same ragged_rank: they have "
                             f"{first.ragged_rank} and {other.ragged_rank}.")
        for a, b in zip(first.nested_row_splits, other.nested_row_splits):
            if a is b:
                continue
            b = cast(b, a.dtype)
            message = "Inputs must have identical ragged splits"
            if a.shape.rank == b.shape.rank == 1 and None not in (a.shape[0], b.shape[0]) and a.shape[0] != b.shape[0]:
                from tenon.errors import InvalidArgumentError
                raise InvalidArgumentError(None, None, message)
            same = raw_ops.Equal(x=raw_ops.Shape(input=a), y=raw_ops.Shape(input=b))
            raw_ops.Assert(condition=raw_ops.All(input=same, axis=[0], keep_dims=False), data=[message], summarize=3)
            raw_ops.Assert(condition=raw_ops.All(input=raw_ops.Equal(x=a, y=b), axis=[0], keep_dims=False), data=[message],
                           summarize=3)
    return first


def spread(dense, ragged):
    """`dense`, broadcast to the rows of `ragged`, as values that go with its flat values."""
    dense = _tenon.convert(dense)
    rank = ragged.shape.rank
    if dense.shape.rank == 0 or rank is not None and dense.shape.rank <= rank - ragged.ragged_rank - 1:
        return dense
    if rank is None or dense.shape.rank is None:
        raise ValueError("A tensor of unknown rank can not be broadcast to the rows of a ragged tensor.")
    missing = rank - dense.shape.rank
    if missing < 0:
        raise ValueError(f"A tensor of shape {dense.shape} can not be broadcast to the ragged shape {ragged.shape}.")
    if missing:
        dense = raw_ops.Reshape(tensor=dense, shape=raw_ops.ConcatV2(
            values=[_tenon.convert([1] * missing, "int32"), raw_ops.Shape(input=dense)], axis=0))
    while isinstance(ragged, RaggedTensor):
        dense = _spread_level(dense, ragged)
        ragged = ragged.values
    return dense


def _spread_level(dense, ragged):
    """`dense`, whose first two dimensions are rows and places in them, with one row for each value."""
    ids, splits = ragged.value_rowids(), ragged.row_splits
    places = places_in_rows(ragged, ids)
    shape = raw_ops.Shape(input=dense, out_type=splits.dtype)
    wide = shape[1] != 1
    fits = raw_ops.LogicalOr(x=raw_ops.LogicalNot(x=wide), y=raw_ops.All(
        input=raw_ops.Equal(x=ragged.row_lengths(), y=shape[1]), axis=[0], keep_dims=False))
    fits = raw_ops.LogicalAnd(x=fits, y=raw_ops.LogicalOr(x=shape[0] == 1, y=shape[0] == ragged.nrows()))
    raw_ops.Assert(condition=fits, data=["Unable to broadcast: dimension size mismatch in dimension", shape], summarize=3)
    indices = raw_ops.Pack(values=[ids * cast(shape[0] != 1, splits.dtype), places * cast(wide, splits.dtype)], axis=1)
    return raw_ops.GatherNd(params=dense, indices=indices)


def elementwise(function):
    """The rule of a function of elements: flat values in, flat values out; dense arguments are broadcast."""
    def rule(*args, **kwargs):
        ragged = [x for x in (*args, *kwargs.values()) if is_ragged(x)]
        if len({x.ragged_rank for x in ragged}) > 1:
            deepest = max(ragged, key=lambda x: x.ragged_rank)
            args, kwargs, ragged = _as_deep(args, kwargs, deepest)
        first = same_rows(ragged)

        def flat(x):
            if is_ragged(x):
                return x.flat_values
            return spread(x, first) if isinstance(x, (_tenon.Tensor, _tenon.VariableBase)) or (
                isinstance(x, (list, tuple)) or hasattr(x, "__array__")) and not isinstance(x, _tenon.DType) else x

        return first.with_flat_values(function(*map(flat, args), **{k: flat(v) for k, v in kwargs.items()}))

    return rule


def _as_deep(args, kwargs, deepest):
    """Ragged arguments of fewer levels broadcast along the levels that they lack."""
    def deep(x):
        if not is_ragged(x) or x.ragged_rank == deepest.ragged_rank:
            return x
        if x.shape.rank != deepest.shape.rank:
            raise ValueError("Ragged tensors of different ranks can not be broadcast: their shapes are "
                             f"{x.shape} and {deepest.shape}.")
        level = x.values
        below = deepest.values
        spread_values = _spread_level(level, below)
        return deepest.with_values(below.with_values(spread_values))

    args, kwargs = [deep(x) for x in args], {k: deep(v) for k, v in kwargs.items()}
    return args, kwargs, [x for x in (*args, *kwargs.values()) if is_ragged(x)]


# Along rows.

_SEGMENTS = {"sum": "UnsortedSegmentSum", "max": "UnsortedSegmentMax", "min": "UnsortedSegmentMin",
             "prod": "UnsortedSegmentProd"}


def _by_segment(kind, values, ids, count):
    """One value for each id of its values."""
    if kind in ("any", "all"):
        kind = "max" if kind == "any" else "min"
        found = getattr(raw_ops, _SEGMENTS[kind])(data=cast(values, "int32"), segment_ids=ids, num_segments=count)
        return found > 0
    if kind == "mean":
        total = raw_ops.UnsortedSegmentSum(data=values, segment_ids=ids, num_segments=count)
        ones = cast(raw_ops.OnesLike(x=ids), values.dtype)
        number = raw_ops.UnsortedSegmentSum(data=ones, segment_ids=ids, num_segments=count)
        rank = values.shape.rank
        if rank and rank > 1:
            number = raw_ops.Reshape(tensor=number, shape=_tenon.convert([-1] + [1] * (rank - 1), "int32"))
        return total / number  # of integers a float64
    return getattr(raw_ops, _SEGMENTS[kind])(data=values, segment_ids=ids, num_segments=count)


def reduce(kind, function):
    """The rule of a reduction."""
    def rule(input_tensor, axis=None, keepdims=False, name=None):
        x = input_tensor
        if axis is None:
            found = function(x.flat_values)
            if keepdims:
                found = raw_ops.Reshape(tensor=found, shape=_tenon.convert([1] * x.shape.rank, "int32"))
            return found
        if isinstance(axis, _tenon.Tensor):
            axis = axis.numpy().tolist()
        if isinstance(axis, (list, tuple)):
            axes = sorted(_axis(a, x) for a in axis)
            if len(axes) > 1:
                if kind == "mean":
                    return _mean_of_several(x, axes, keepdims)
                for each in reversed(axes):
                    x = rule(x, each, keepdims) if is_ragged(x) else function(x, each, keepdims)
                return x
            if not axes:
                return x
            axis = axes[0]
        axis = _axis(axis, x)
        if axis > 1 or axis == 1 and not is_ragged(x):
            below = x.values
            found = rule(below, axis - 1, keepdims) if is_ragged(below) else function(below, axis - 1, keepdims)
            return x.with_values(found)
        if axis == 1:
            rows = x.nrows()
            if is_ragged(x.values):
                found = _columns_of(kind, x)
            else:
                found = _by_segment(kind, x.values, x.value_rowids(), rows)
            if found is not None and keepdims:
                return expand_dims(found, 1)
            return found
        if is_ragged(x.values):
            raise NotImplementedError("A reduction along the first dimension of a tensor with several ragged dimensions.")
        found = _by_segment(kind, x.values, places_in_rows(x, x.value_rowids()), x.bounding_shape(1))
        return raw_ops.ExpandDims(input=found, axis=0) if keepdims else found

    return rule


def _axis(axis, x):
    rank = x.shape.rank
    axis = int(axis)
    if axis < 0:
        if rank is None:
            raise ValueError("A negative axis needs a ragged tensor of known rank.")
        axis += rank
    if rank is not None and not 0 <= axis < rank:
        raise ValueError(f"axis={axis - rank if axis < 0 else axis} out of bounds: expected -{rank}<=axis<{rank}")
    return axis


def _columns_of(kind, x):
    """Of each row, whose values are rows themselves, what stands at one place in these."""
    below = x.values
    if is_ragged(below.values):
        raise NotImplementedError("A reduction between ragged dimensions, of which there are more than two.")
    # Values of one outer row and one place get one number: the row's first, and the place in the inner row.
    inner_ids = below.value_rowids()
    outer = raw_ops.GatherV2(params=x.value_rowids(), indices=inner_ids, axis=0)
    # The longest inner row of each outer one.
    widths = raw_ops.UnsortedSegmentMax(data=below.row_lengths(), segment_ids=x.value_rowids(), num_segments=x.nrows())
    widths = raw_ops.Maximum(x=widths, y=raw_ops.ZerosLike(x=widths))
    splits = running_total(widths)
    ids = raw_ops.GatherV2(params=splits, indices=outer, axis=0) + places_in_rows(below, inner_ids)
    return RaggedTensor._make(_by_segment(kind, below.values, ids, splits[-1]), splits)


def _mean_of_several(x, axes, keepdims):
    from tenon.tf.reductions import reduce_sum
    ones = x.with_flat_values(raw_ops.OnesLike(x=x.flat_values))
    total, count = (reduce("sum", reduce_sum)(value, axes, keepdims) for value in (x, ones))
    return total / count


# Joined.

def concat(values, axis, name=None):
    values = [v if is_ragged(v) else _tenon.convert(v) for v in values]
    if len(values) == 1:
        return values[0]
    return _joined(values, axis, stacked=False)


def stack(values, axis=0, name=None):
    values = [v if is_ragged(v) else _tenon.convert(v) for v in values]
    return _joined(values, axis, stacked=True)


def _joined(values, axis, stacked):
    rank = max((v.shape.rank for v in values if v.shape.rank is not None), default=None)
    if rank is None:
        raise ValueError("Ragged tensors of unknown rank can not be joined.")
    axis = axis if isinstance(axis, int) else int(axis)
    total = rank + stacked
    if not -total <= axis < total:
        raise ValueError(f"axis={axis} out of bounds: expected -{total}<=axis<{total}")
    axis = axis + total if axis < 0 else axis
    if not stacked and rank == 1 or stacked and rank == 0:
        return raw_ops.Pack(values=values, axis=axis) if stacked else raw_ops.ConcatV2(values=values, axis=axis)
    if stacked and rank == 1 and axis == 0:  # vectors of different lengths
        lengths = [raw_ops.Shape(input=v, out_type="int64")[0] for v in values]
        return RaggedTensor.from_row_lengths(raw_ops.ConcatV2(values=values, axis=0), raw_ops.Pack(values=lengths),
                                             validate=False)
    deepest = max(v.ragged_rank if is_ragged(v) else 1 for v in values)
    values = [_deep(v, max(1, min(deepest, rank - 1))) for v in values]
    if stacked:
        values = [expand_dims(v, axis) for v in values]
    return _concat(values, axis)


def _deep(value, levels):
    """`value` with at least as many ragged levels."""
    if not is_ragged(value):
        return from_tensor(value, None, None, levels, "int64") if value.shape.rank and value.shape.rank > levels else value
    if value.ragged_rank < levels:
        return value.with_values(_deep(value.values, levels - 1))
    return value


def _concat(values, axis):
    if not any(map(is_ragged, values)):
        return raw_ops.ConcatV2(values=values, axis=axis)
    if axis == 0:
        return _under_each_other(values)
    if axis >= 2:
        first = same_rows([RaggedTensor._make(rows_only(v), v.row_splits) for v in values])
        return RaggedTensor._make(_concat([v.values for v in values], axis - 1), first.row_splits)
    # Side by side: row 0 of all, then row 1 of all; as many rows as there are values are one.
    count = len(values)
    rows = values[0].nrows()
    for other in values[1:]:
        raw_ops.Assert(condition=raw_ops.Equal(x=cast(other.nrows(), rows.dtype), y=rows),
                       data=["Input tensors have incompatible shapes"], summarize=3)
    all_rows = _under_each_other(values)
    dtype = all_rows.row_splits.dtype
    rows = cast(rows, dtype)
    numbers = raw_ops.Range(start=_tenon.convert(0, dtype), limit=rows * count, delta=_tenon.convert(1, dtype))
    order = raw_ops.Reshape(tensor=raw_ops.Transpose(x=raw_ops.Reshape(tensor=numbers, shape=raw_ops.Pack(
        values=[_tenon.convert(count, dtype), rows])), perm=[1, 0]), shape=[-1])
    woven = ragged_index.gather(all_rows, order)
    splits = woven.row_splits[::count]
    known = values[0].row_splits.shape[0]
    if splits.is_symbolic and known is not None:
        splits.set_shape([known])
    return RaggedTensor._make(woven.values, splits)


def rows_only(value):
    """Values that nothing reads, as many as there are rows below."""
    return raw_ops.Range(start=_tenon.convert(0, value.row_splits.dtype), limit=value.row_splits[-1],
                         delta=_tenon.convert(1, value.row_splits.dtype))


def _under_each_other(values):
    if not any(map(is_ragged, values)):
        return raw_ops.ConcatV2(values=values, axis=0)
    dtype = "int64" if any(v.row_splits.dtype == "int64" for v in values) else values[0].row_splits.dtype
    values = [v.with_row_splits_dtype(dtype) for v in values]
    splits, offset = [values[0].row_splits], values[0].row_splits[-1]
    for value in values[1:]:
        splits.append(value.row_splits[1:] + offset)
        offset = offset + value.row_splits[-1]
    return RaggedTensor._make(_under_each_other([v.values for v in values]), raw_ops.ConcatV2(values=splits, axis=0))


def expand_dims(input, axis, name=None):  # noqa: A002: TensorFlow's name
    if not is_ragged(input):
        return raw_ops.ExpandDims(input=input, axis=axis)
    rank = input.shape.rank
    if axis < 0:
        axis += rank + 1
    if axis == 0:
        known = input.shape[0]
        return RaggedTensor.from_uniform_row_length(input, input.nrows() if known is None else known, nrows=1, validate=False)
    if axis == 1:
        known = input.shape[0]
        return RaggedTensor.from_uniform_row_length(input, 1, nrows=input.nrows() if known is None else known, validate=False)
    return input.with_values(expand_dims(input.values, axis - 1))


def squeeze(input, axis=None, name=None):  # noqa: A002
    if axis is None:
        raise ValueError("Ragged.squeeze must have an axis argument.")
    axes = [axis] if isinstance(axis, int) else list(axis)
    for each in sorted((_axis(a, input) for a in axes), reverse=True):
        input = _squeezed(input, each)
    return input


def _squeezed(value, axis):
    if not is_ragged(value):
        return raw_ops.Squeeze(input=value, axis=[axis])
    if axis == 0:
        return value[0]
    if axis == 1:
        raw_ops.Assert(condition=raw_ops.All(input=value.row_lengths() == 1, axis=[0], keep_dims=False),
                       data=["the given axis (axis = 1) is not squeezable!"], summarize=3)
        return value.values
    return value.with_values(_squeezed(value.values, axis - 1))


def where(condition, x=None, y=None, name=None):
    if x is None and y is None:
        if not is_ragged(condition):
            return raw_ops.Where(condition=condition)
        indices = condition.with_flat_values(raw_ops.Range(start=0, limit=rows_of(condition.flat_values, "int32"), delta=1))
        return boolean_places(condition, indices)
    return elementwise(lambda c, a, b: raw_ops.SelectV2(condition=c, t=a, e=b))(condition, x, y)


def boolean_places(condition, indices):
    places = indices.to_sparse().indices
    return raw_ops.GatherV2(params=places, indices=raw_ops.Reshape(
        tensor=raw_ops.Where(condition=condition.flat_values), shape=[-1]), axis=0)


def tile(input, multiples, name=None):  # noqa: A002
    from tenon.tf.arrays import static_value
    known = static_value(multiples)
    if known is None:
        raise NotImplementedError("tile() of a ragged tensor needs multiples that are known while tracing.")
    for axis, count in reversed(list(enumerate(known.tolist()))):
        if count != 1:
            input = _concat([input] * count, axis) if count else input[(slice(None),) * axis + (slice(0, 0),)]
    return input


def reverse(tensor, axis, name=None):
    for each in [axis] if isinstance(axis, int) else axis:
        tensor = tensor[(slice(None),) * _axis(each, tensor) + (slice(None, None, -1),)]
    return tensor


def size(input, out_type="int32", name=None):  # noqa: A002
    return raw_ops.Size(input=input.flat_values, out_type=out_type)


def rank(input, name=None):  # noqa: A002
    return _tenon.convert(input.ragged_rank, "int32") + raw_ops.Rank(input=input.flat_values)


def softmax(logits, axis=None, name=None):
    axis = _axis(-1 if axis is None else axis, logits)
    if axis != logits.ragged_rank:
        raise NotImplementedError("softmax() of a ragged tensor goes along its last ragged dimension.")
    level = logits
    if is_ragged(level.values):
        return level.with_values(softmax(level.values, axis - 1))
    ids = level.value_rowids()
    top = _by_segment("max", level.values, ids, level.nrows())
    powers = raw_ops.Exp(x=level.values - raw_ops.GatherV2(params=top, indices=ids, axis=0))
    total = _by_segment("sum", powers, ids, level.nrows())
    return level.with_values(powers / raw_ops.GatherV2(params=total, indices=ids, axis=0))


def bincount(arr, weights=None, minlength=None, maxlength=None, dtype="int32", name=None, axis=None, binary_output=False):
    from tenon.tf import reductions
    if axis in (None, 0):
        return reductions.bincount(arr.flat_values, None if weights is None else weights.flat_values, minlength, maxlength,
                                   dtype, axis=None, binary_output=binary_output)
    values = arr.values if arr.values.dtype in ("int32", "int64") else cast(arr.values, "int32")
    size = reductions.counting_size(values, minlength, maxlength)
    dtype = dtype if weights is None else weights.dtype
    given = raw_ops.Fill(dims=[0], value=_tenon.convert(0, dtype)) if weights is None else weights.values
    return raw_ops.RaggedBincount(splits=cast(arr.row_splits, "int64"), values=values, size=size, weights=given,
                                  binary_output=binary_output)
