"""Ragged tensors from dense and sparse ones and back, and levels of rows made one."""
from tenon import _tenon, raw_ops
from tenon.tf.ragged_tensor import RaggedTensor, cast, running_total


def _reshaped(tensor, leading):
    """`tensor` with `leading` instead of its first two dimensions."""
    shape = tensor.shape
    inner = raw_ops.Shape(input=tensor)[2:]
    made = raw_ops.Reshape(tensor=tensor, shape=raw_ops.ConcatV2(values=[_tenon.convert(leading, "int32"), inner], axis=0))
    if made.is_symbolic and shape.rank is not None:
        made.set_shape([None] + shape.as_list()[2:])
    return made


def _mask(lengths, width):
    places = raw_ops.Range(start=_tenon.convert(0, lengths.dtype), limit=width, delta=_tenon.convert(1, lengths.dtype))
    return places < raw_ops.ExpandDims(input=lengths, axis=1)


def _cut(tensor, lengths):
    """The first `lengths` elements of the rows, one row after the other."""
    from tenon.tensor_methods import boolean_mask
    return boolean_mask(tensor, _mask(lengths, raw_ops.Shape(input=tensor, out_type=lengths.dtype)[1]))


def from_tensor(tensor, lengths, padding, ragged_rank, dtype):
    if lengths is not None and padding is not None:
        raise ValueError("Specify argument `lengths` or `padding`, but not both.")
    tensor, dtype = _tenon.convert(tensor), _tenon.as_dtype(dtype)
    if tensor.shape.rank is not None and not 0 < ragged_rank < tensor.shape.rank:
        raise ValueError("Argument `tensor` must have rank greater than `ragged_rank`: its shape is "
                         f"{tensor.shape}, the ragged_rank {ragged_rank}.")
    if isinstance(lengths, (list, tuple)) and lengths and not isinstance(lengths[0], int):
        first, *rest = [cast(_tenon.convert(n), dtype) for n in lengths]
        values = _cut(tensor, first)
        if rest:
            values = from_tensor(values, rest if len(rest) > 1 else rest[0], None, max(1, ragged_rank - 1), dtype)
        return RaggedTensor._make(values, running_total(first))
    if ragged_rank > 1:
        if lengths is not None:
            raise ValueError("If `ragged_rank` is more than 1, lengths are given for each level: a list of vectors.")
        values = from_tensor(_reshaped(tensor, [-1]), None, padding, ragged_rank - 1, dtype)
        return _uniform(tensor, values, dtype)
    if padding is not None:
        lengths = _lengths_without(tensor, _tenon.convert(padding, tensor.dtype), dtype)
    if lengths is None:
        return _uniform(tensor, _reshaped(tensor, [-1]), dtype)
    lengths = cast(_tenon.convert(lengths), dtype)
    return RaggedTensor._make(_cut(tensor, lengths), running_total(lengths))


def _uniform(tensor, values, dtype):
    shape = raw_ops.Shape(input=tensor, out_type=dtype)
    known = tensor.shape[1] if tensor.shape.rank is not None else None
    rows = tensor.shape[0] if tensor.shape.rank is not None else None
    length = shape[1] if known is None else _tenon.convert(known, dtype)
    count = shape[0] if rows is None else _tenon.convert(rows, dtype)
    splits = raw_ops.Range(start=_tenon.convert(0, dtype), limit=count + 1, delta=_tenon.convert(1, dtype)) * length
    if splits.is_symbolic and rows is not None:
        splits.set_shape([rows + 1])
    return RaggedTensor._make(values, splits, length if known is None else known)


def _lengths_without(tensor, padding, dtype):
    """How long rows are without the padding at their ends."""
    kept = raw_ops.NotEqual(x=tensor, y=padding)
    if padding.shape.rank:
        kept = raw_ops.Any(input=kept, axis=list(range(2, 2 + padding.shape.rank)), keep_dims=False)
    if tensor.shape.rank > 2 + (padding.shape.rank or 0):
        kept = raw_ops.Any(input=kept, axis=list(range(2, tensor.shape.rank - (padding.shape.rank or 0))), keep_dims=False)
    width = raw_ops.Shape(input=kept, out_type=dtype)[1]
    ends = raw_ops.Range(start=_tenon.convert(1, dtype), limit=width + 1, delta=_tenon.convert(1, dtype))
    ends = cast(kept, dtype) * ends
    zero = raw_ops.Fill(dims=raw_ops.Pack(values=[raw_ops.Shape(input=kept)[0], 1]), value=_tenon.convert(0, dtype))
    return raw_ops.Max(input=raw_ops.ConcatV2(values=[zero, ends], axis=1), axis=1, keep_dims=False)


def from_sparse(sparse, dtype):
    from tenon.tf.sparse_tensor import SparseTensor
    if not isinstance(sparse, SparseTensor):
        raise TypeError(f"Argument `st_input` must be of type SparseTensor, but is of type {type(sparse).__name__}.")
    rank = sparse.dense_shape.shape[0]
    if rank not in (2, None):
        raise ValueError(f"rank(st_input) must be 2. Found {rank}")
    return RaggedTensor.from_value_rowids(sparse.values, cast(sparse.indices[:, 0], dtype),
                                          cast(sparse.dense_shape[0], dtype), validate=False)


def to_tensor(ragged, default_value, shape):
    from tenon.tensor_shape import TensorShape
    if default_value is None:
        default_value = "" if ragged.dtype == "string" else False if ragged.dtype.is_bool else 0
    default_value = _tenon.convert(default_value, ragged.dtype)
    known = None
    if shape is None:
        wanted = _tenon.convert(-1, "int64")
    elif isinstance(shape, _tenon.Tensor):
        wanted = shape
    else:
        known = TensorShape(shape)
        wanted = _tenon.convert(-1 if known.rank is None else [-1 if n is None else n for n in known.as_list()], "int64")
    made = raw_ops.RaggedTensorToTensor(
        shape=wanted, values=ragged.flat_values, default_value=default_value,
        row_partition_tensors=list(ragged.nested_row_splits), row_partition_types=["ROW_SPLITS"] * ragged.ragged_rank)
    if made.is_symbolic:
        if ragged.shape.rank is not None and shape is None:
            made.set_shape(ragged.shape)
        elif known is not None and known.rank is not None and ragged.shape.rank is not None:
            made.set_shape([b if a is None else a for a, b in zip(known.as_list(), ragged.shape.as_list())])
    return made


def merge_dims(value, outer, inner):
    """`value`, ragged or dense, with its dimensions from `outer` to `inner` as one."""
    if outer == inner:
        return value
    if not isinstance(value, RaggedTensor):
        shape = raw_ops.Shape(input=value)
        made = raw_ops.Reshape(tensor=value, shape=raw_ops.ConcatV2(
            values=[shape[:outer], _tenon.convert([-1], "int32"), shape[inner + 1:]], axis=0))
        if made.is_symbolic and value.shape.rank is not None:
            dims = value.shape.as_list()
            merged = dims[outer:inner + 1]
            product = None
            if None not in merged:
                product = 1
                for size in merged:
                    product *= size
            made.set_shape(dims[:outer] + [product] + dims[inner + 1:])
        return made
    if outer == 0:
        return value.values if inner == 1 else merge_dims(value.values, 0, inner - 1)
    if outer == 1:
        # Rows of the first level have what all rows of the levels below have.
        below = value.values
        if isinstance(below, RaggedTensor):
            splits = raw_ops.GatherV2(params=below.row_splits, indices=value.row_splits, axis=0)
            merged = RaggedTensor._make(below.values, splits)
        else:
            inner_size = raw_ops.Shape(input=below, out_type=value.row_splits.dtype)[1]
            merged = RaggedTensor._make(merge_dims(below, 0, 1), value.row_splits * inner_size)
        return merge_dims(merged, 1, inner - 1)
    return value.with_values(merge_dims(value.values, outer - 1, inner - 1))
