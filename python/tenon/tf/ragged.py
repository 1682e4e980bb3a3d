"""tf.ragged: making ragged tensors, and functions of their values."""
import builtins as _builtins

from tenon import _tenon, nest, raw_ops
from tenon.tf import missing as _missing
from tenon.tf.ragged_spec import RaggedTensorSpec  # noqa: F401
from tenon.tf.ragged_tensor import RaggedTensor as _RaggedTensor
from tenon.tf.ragged_tensor import cast as _cast


def _depth(rows):
    """(how deep lists nest, how deep at least, where the lists at the bottom are empty)."""
    if not isinstance(rows, (list, tuple)):
        return (None, 0) if not hasattr(rows, "ndim") or rows.ndim == 0 else (None, 0)
    found, least = None, 1
    for row in rows:
        scalar, below = _depth(row) if isinstance(row, (list, tuple)) else (0, 0)
        least = max(least, below + 1)
        if scalar is not None:
            if found is not None and found != scalar + 1:
                raise ValueError("all scalar values must have the same nesting depth")
            found = scalar + 1
    return found, least


def _plain(rows):
    """Arrays as lists."""
    if hasattr(rows, "tolist") and getattr(rows, "ndim", 0) > 0:
        return [_plain(row) for row in rows] if rows.dtype == object else rows.tolist()
    return [_plain(row) for row in rows] if isinstance(rows, (list, tuple)) else rows


def constant(pylist, dtype=None, ragged_rank=None, inner_shape=None, name=None, row_splits_dtype="int64"):
    """A ragged tensor of nested lists; a tensor where `ragged_rank` is 0."""
    pylist = _plain(pylist)
    if not isinstance(pylist, list):
        if ragged_rank:
            raise ValueError(f"Invalid pylist={pylist}: incompatible with ragged_rank={ragged_rank}")
        return _tenon.convert(pylist, dtype)
    scalars, least = _depth(pylist)
    if scalars is not None and least > scalars:
        raise ValueError(f"Invalid pylist={pylist}: empty list nesting is greater than scalar value nesting")
    depth = scalars or least
    if ragged_rank is not None and depth < ragged_rank:
        raise ValueError(f"Invalid pylist={pylist}: incompatible with ragged_rank={ragged_rank}")
    if inner_shape is not None:
        inner_shape = tuple(inner_shape)
        if ragged_rank is None:
            ragged_rank = depth - 1 - len(inner_shape) if scalars is not None else max(0, depth - 1)
        elif depth - 1 - ragged_rank != len(inner_shape) and scalars is not None:
            raise ValueError(f"Invalid pylist={pylist}: incompatible with ragged_rank={ragged_rank} and dim(inner_shape)="
                             f"{len(inner_shape)}")
    elif ragged_rank is None:
        ragged_rank = max(1, depth - 1)
    splits = []
    for _ in _builtins.range(ragged_rank):
        lengths = [0]
        for row in pylist:
            if not isinstance(row, list):
                raise ValueError(f"Invalid pylist: a row is {row!r}, not a list")
            lengths.append(lengths[-1] + len(row))
        splits.append(lengths)
        pylist = [value for row in pylist for value in row]
    if not pylist and dtype is None:
        dtype = "float32"
    values = _tenon.convert(pylist, dtype)
    if inner_shape is not None:
        values = raw_ops.Reshape(tensor=values, shape=_tenon.convert([-1 if pylist else 0, *inner_shape], "int32"))
    elif depth - 1 > ragged_rank and not pylist:
        values = raw_ops.Reshape(tensor=values, shape=_tenon.convert([0] * (depth - ragged_rank), "int32"))
    made = values
    for level in reversed(splits):
        made = _RaggedTensor._make(made, _tenon.convert(level, row_splits_dtype))
    return made


def range(starts, limits=None, deltas=1, dtype=None, name=None, row_splits_dtype="int64"):  # noqa: A001: TensorFlow's name
    """The numbers from `starts` to `limits`, a row for each."""
    if limits is None:
        starts, limits = 0, starts
    from tenon.tf.arrays import range as numbers
    if dtype is None:
        dtype = numbers(0, 1).dtype
        for each in (starts, limits, deltas):
            each = _tenon.convert(each)
            order = ["int32", "int64", "float32", "float64"]
            if each.dtype.name in order:
                dtype = max(dtype, each.dtype, key=lambda d: order.index(d.name))
    starts, limits, deltas = (_cast(x, dtype) for x in (starts, limits, deltas))
    found = raw_ops.RaggedRange(starts=starts, limits=limits, deltas=deltas, Tsplits=row_splits_dtype)
    return _RaggedTensor._make(found.rt_dense_values, found.rt_nested_splits)


def map_flat_values(op, *args, **kwargs):
    """`op` of the flat values of all ragged arguments, which have the same rows."""
    from tenon.tf.ragged_rules import same_rows
    given = [x for x in nest.flatten((args, kwargs)) if isinstance(x, _RaggedTensor)]
    if not given:
        return op(*args, **kwargs)
    first = same_rows(given)

    def flat(x):
        return x.flat_values if isinstance(x, _RaggedTensor) else x

    values = op(*nest.map_structure(flat, list(args)), **{k: nest.map_structure(flat, v) for k, v in kwargs.items()})
    return first.with_flat_values(values)


def boolean_mask(data, mask, name=None):
    """The values of `data` where `mask` is true, row by row."""
    from tenon.tf.ragged_conversion import from_tensor
    from tenon.tf.ragged_rules import same_rows
    if not isinstance(mask, _RaggedTensor):
        try:
            mask = _tenon.convert(mask, "bool")
        except ValueError:  # rows of different lengths
            mask = constant(mask, "bool")
    if not isinstance(data, _RaggedTensor):
        data = _tenon.convert(data)
    ragged_mask = isinstance(mask, _RaggedTensor)
    if not ragged_mask and mask.shape.rank == 1:
        from tenon.tf.ragged_index import gather
        where = raw_ops.Reshape(tensor=raw_ops.Where(condition=mask), shape=[-1])
        return gather(data, where)
    if not ragged_mask:
        mask = from_tensor(mask, None, None, mask.shape.rank - 1, "int64")
    if not isinstance(data, _RaggedTensor):
        data = from_tensor(data, None, None, mask.ragged_rank, mask.row_splits.dtype)
    same_rows([mask, data])
    kept = boolean_mask(data.values, mask.values)
    if isinstance(mask.values, _RaggedTensor):
        return data.with_values(kept)
    dtype = data.row_splits.dtype
    counts = raw_ops.ConcatV2(values=[_tenon.convert([0], dtype), raw_ops.Cumsum(x=_cast(mask.values, dtype), axis=0)], axis=0)
    splits = raw_ops.GatherV2(params=counts, indices=data.row_splits, axis=0)
    return _RaggedTensor._make(kept, splits)


def stack(values, axis=0, name=None):
    """The tensors, ragged or not, as the rows of one."""
    from tenon.tf import ragged_rules
    return ragged_rules.stack(values, axis)


def row_splits_to_segment_ids(splits, name=None, out_type=None):
    splits = _tenon.convert(splits) if hasattr(splits, "dtype") else _tenon.convert(splits, "int64")
    ids = _RaggedTensor._make(raw_ops.Range(start=_tenon.convert(0, splits.dtype), limit=splits[-1],
                                            delta=_tenon.convert(1, splits.dtype)), splits).value_rowids()
    return ids if out_type is None else _cast(ids, out_type)


def segment_ids_to_row_splits(segment_ids, num_segments=None, out_type=None, name=None):
    ids = _cast(_tenon.convert(segment_ids), out_type or "int64")
    return _RaggedTensor.from_value_rowids(ids, ids, num_segments, validate=False).row_splits


def cross(inputs, name=None):
    """The features of each row, joined by "_X_", in all combinations."""
    return _cross(inputs, False, 0, 0)


def cross_hashed(inputs, num_buckets=0, hash_key=None, name=None):
    return _cross(inputs, True, num_buckets, 0xDECAFCAFFE if hash_key is None else hash_key)


def _cross(inputs, hashed, num_buckets, hash_key):
    from tenon.tf.sparse_tensor import SparseTensor
    ragged = [x for x in inputs if isinstance(x, _RaggedTensor)]
    sparse = [x for x in inputs if isinstance(x, SparseTensor)]
    order = "".join("R" if isinstance(x, _RaggedTensor) else "S" if isinstance(x, SparseTensor) else "D" for x in inputs)

    def values(x):
        return x if x.dtype == "string" else _cast(x, "int64")

    dense = [values(_tenon.convert(x)) for x, kind in zip(inputs, order) if kind == "D"]
    kind = "int64" if hashed else "string"
    found = raw_ops.RaggedCross(
        ragged_values=[values(x.flat_values) for x in ragged], ragged_row_splits=[x.row_splits for x in ragged],
        sparse_indices=[x.indices for x in sparse], sparse_values=[values(x.values) for x in sparse],
        sparse_shape=[x.dense_shape for x in sparse], dense_inputs=dense, input_order=order, hashed_output=hashed,
        num_buckets=num_buckets, hash_key=hash_key, out_values_type=kind,
        out_row_splits_type="int64")
    return _RaggedTensor._make(found.output_values, found.output_row_splits)


def stack_dynamic_partitions(data, partitions, num_partitions, name=None):
    """The rows of `data` of each partition, as one row."""
    data, partitions = _tenon.convert(data), _tenon.convert(partitions)
    if partitions.shape.rank != 1:
        raise ValueError("stack_dynamic_partitions() takes a vector of partitions.")
    from tenon.tf.arrays import argsort
    order = argsort(partitions, stable=True)
    return _RaggedTensor.from_value_rowids(
        raw_ops.GatherV2(params=data, indices=order, axis=0),
        _cast(raw_ops.GatherV2(params=partitions, indices=order, axis=0), "int64"), num_partitions)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.ragged", name, globals()))
