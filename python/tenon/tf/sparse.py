"""tf.sparse: functions of sparse tensors."""
import builtins as _builtins

from tenon import _tenon, raw_ops
from tenon.tf import missing as _missing
from tenon.tf.ragged_tensor import cast as _cast
from tenon.tf.sparse_tensor import SparseTensor

_range = _builtins.range


def _input(sparse, prefix="input"):
    return {f"{prefix}_indices": sparse.indices, f"{prefix}_values": sparse.values, f"{prefix}_shape": sparse.dense_shape}


def _check(sparse):
    if not isinstance(sparse, SparseTensor):
        raise TypeError(f"Input must be a SparseTensor, not {type(sparse).__name__}.")
    return sparse


def to_dense(sp_input, default_value=None, validate_indices=True, name=None):
    sp_input = _check(sp_input)
    if default_value is None:
        default_value = "" if sp_input.dtype == "string" else False if sp_input.dtype.is_bool else 0
    default = _tenon.convert(default_value, sp_input.dtype)
    made = raw_ops.SparseToDense(sparse_indices=sp_input.indices, output_shape=sp_input.dense_shape,
                                 sparse_values=sp_input.values, default_value=default, validate_indices=validate_indices)
    if made.is_symbolic:
        made.set_shape(sp_input.shape)
    return made


def from_dense(tensor, name=None):
    tensor = _tenon.convert(tensor)
    zero = _tenon.convert("", "string") if tensor.dtype == "string" else raw_ops.ZerosLike(x=tensor)
    indices = raw_ops.Where(condition=tensor if tensor.dtype.is_bool else raw_ops.NotEqual(x=tensor, y=zero))
    from tenon.tf.arrays import known_in_part
    shape = raw_ops.Shape(input=tensor, out_type="int64")
    if tensor.shape.rank is not None:
        shape = known_in_part(shape, tensor.shape.as_list())
    return SparseTensor(indices, raw_ops.GatherNd(params=tensor, indices=indices), shape)


def to_indicator(sp_input, vocab_size, name=None):
    """A dense tensor of booleans in which the last dimension tells which ids there were."""
    ids = _cast(_check(sp_input).values, "int64")
    indices = raw_ops.ConcatV2(values=[sp_input.indices[:, :-1], raw_ops.ExpandDims(input=ids, axis=1)], axis=1)
    shape = raw_ops.ConcatV2(values=[sp_input.dense_shape[:-1], _tenon.convert([vocab_size], "int64")], axis=0)
    return raw_ops.SparseToDense(sparse_indices=indices, output_shape=shape, sparse_values=True, default_value=False,
                                 validate_indices=False)


def map_values(op, *args, **kwargs):
    """`op` of the values of the sparse arguments, which stand at the same places."""
    given = [x for x in (*args, *kwargs.values()) if isinstance(x, SparseTensor)]
    if not given:
        raise ValueError("No SparseTensor in argument list of map_values")
    for other in given[1:]:
        same = raw_ops.Equal(x=raw_ops.Shape(input=given[0].indices), y=raw_ops.Shape(input=other.indices))
        raw_ops.Assert(condition=raw_ops.All(input=same, axis=[0], keep_dims=False),
                       data=["sparse tensors have different places"], summarize=3)
        raw_ops.Assert(condition=raw_ops.All(input=raw_ops.Equal(x=given[0].indices, y=other.indices), axis=[0, 1],
                                             keep_dims=False), data=["sparse tensors have different places"], summarize=3)

    def values(x):
        return x.values if isinstance(x, SparseTensor) else x

    return given[0].with_values(op(*map(values, args), **{k: values(v) for k, v in kwargs.items()}))


def reorder(sp_input, name=None):
    sp_input = _check(sp_input)
    indices, values = raw_ops.SparseReorder(**_input(sp_input))
    return SparseTensor(indices, values, sp_input.dense_shape)


def reshape(sp_input, shape, name=None):
    from tenon.tf.arrays import shape_vector
    sp_input = _check(sp_input)
    wanted = shape_vector(shape, "int64")
    indices, dense_shape = raw_ops.SparseReshape(input_indices=sp_input.indices, input_shape=sp_input.dense_shape,
                                                 new_shape=_cast(wanted, "int64"))
    partly = getattr(wanted, "partly_known", None)
    if partly is None and isinstance(shape, (list, tuple)) and all(isinstance(d, (int, type(None))) for d in shape):
        partly = list(shape)
    if dense_shape.is_symbolic and partly is not None:
        partly = [None if d is None or d < 0 else d for d in partly]
        dense_shape.partly_known = _with_rest(partly, sp_input.shape)
    return SparseTensor(indices, sp_input.values, dense_shape)


def _with_rest(dims, before):
    """`dims` with the one that is left open, where the number of all elements tells it."""
    total = before.num_elements() if before.is_fully_defined() else None
    if total is None or dims.count(None) != 1:
        return dims
    for size in dims:
        total = total if size is None else total // max(1, size)
    return [total if size is None else size for size in dims]


def expand_dims(sp_input, axis=None, name=None):
    sp_input = _check(sp_input)
    rank = sp_input.shape.rank
    if rank is None:
        raise ValueError("expand_dims() of a sparse tensor of unknown rank")
    axis = -1 if axis is None else axis
    axis = axis + rank + 1 if axis < 0 else axis
    if not 0 <= axis <= rank:
        raise ValueError(f"axis {axis} is out of range for rank {rank}")
    column = raw_ops.ZerosLike(x=sp_input.indices[:, :1])
    indices = raw_ops.ConcatV2(values=[sp_input.indices[:, :axis], column, sp_input.indices[:, axis:]], axis=1)
    shape = raw_ops.ConcatV2(values=[sp_input.dense_shape[:axis], _tenon.convert([1], "int64"), sp_input.dense_shape[axis:]],
                             axis=0)
    if shape.is_symbolic:
        dims = sp_input.shape.as_list()
        shape.partly_known = dims[:axis] + [1] + dims[axis:]
    return SparseTensor(indices, sp_input.values, shape)


def transpose(sp_input, perm=None, name=None):
    sp_input = _check(sp_input)
    rank = sp_input.shape.rank
    perm = list(_range(rank))[::-1] if perm is None else list(perm)
    indices = raw_ops.GatherV2(params=sp_input.indices, indices=perm, axis=1)
    shape = raw_ops.GatherV2(params=sp_input.dense_shape, indices=perm, axis=0)
    if shape.is_symbolic:
        shape.partly_known = [sp_input.shape[p] for p in perm]
    return reorder(SparseTensor(indices, sp_input.values, shape))


def concat(axis, sp_inputs, expand_nonconcat_dims=False, name=None):
    sp_inputs = [_check(x) for x in sp_inputs]
    rank = sp_inputs[0].shape.rank
    shapes = [x.dense_shape for x in sp_inputs]
    if expand_nonconcat_dims:
        most = raw_ops.Max(input=raw_ops.Pack(values=shapes), axis=[0], keep_dims=False)
        at = axis % rank
        shapes = [raw_ops.ConcatV2(values=[most[:at], s[at:at + 1], most[at + 1:]], axis=0) for s in shapes]
    found = raw_ops.SparseConcat(indices=[x.indices for x in sp_inputs], values=[x.values for x in sp_inputs], shapes=shapes,
                                 concat_dim=axis)
    made = SparseTensor(found.output_indices, found.output_values, found.output_shape)
    if made.is_symbolic and rank is not None:
        dims = [x.shape.as_list() for x in sp_inputs]
        at = axis % rank
        made.dense_shape.partly_known = [
            (None if any(d[i] is None for d in dims) else sum(d[i] for d in dims)) if i == at else
            next((d[i] for d in dims if d[i] is not None), None) for i in _range(rank)]
    return made


def split(sp_input, num_split=None, axis=None, name=None):
    sp_input = _check(sp_input)
    found = raw_ops.SparseSplit(split_dim=_tenon.convert(axis, "int64"), indices=sp_input.indices, values=sp_input.values,
                                shape=sp_input.dense_shape, num_split=num_split)
    return [SparseTensor(*each) for each in zip(found.output_indices, found.output_values, found.output_shape)]


def slice(sp_input, start, size, name=None):  # noqa: A001: TensorFlow's name
    sp_input = _check(sp_input)
    found = raw_ops.SparseSlice(indices=sp_input.indices, values=sp_input.values, shape=sp_input.dense_shape,
                                start=_tenon.convert(start, "int64"), size=_tenon.convert(size, "int64"))
    return SparseTensor(found.output_indices, found.output_values, found.output_shape)


def retain(sp_input, to_retain):
    sp_input, to_retain = _check(sp_input), _tenon.convert(to_retain, "bool")
    sp_input.values.shape.assert_is_compatible_with(to_retain.shape)
    kept = raw_ops.Reshape(tensor=raw_ops.Where(condition=to_retain), shape=[-1])
    return SparseTensor(raw_ops.GatherV2(params=sp_input.indices, indices=kept, axis=0),
                        raw_ops.GatherV2(params=sp_input.values, indices=kept, axis=0), sp_input.dense_shape)


def fill_empty_rows(sp_input, default_value, name=None):
    """The tensor with `default_value` first in rows that have no value, and which these were."""
    sp_input = _check(sp_input)
    found = raw_ops.SparseFillEmptyRows(indices=sp_input.indices, values=sp_input.values, dense_shape=sp_input.dense_shape,
                                        default_value=_tenon.convert(default_value, sp_input.dtype))
    return SparseTensor(found.output_indices, found.output_values, sp_input.dense_shape), found.empty_row_indicator


def reset_shape(sp_input, new_shape=None):
    """The tensor with a larger shape; with the smallest that holds its values where none is given."""
    sp_input = _check(sp_input)
    if new_shape is None:
        least = raw_ops.Max(input=raw_ops.ConcatV2(values=[sp_input.indices + 1, raw_ops.ExpandDims(
            input=raw_ops.ZerosLike(x=sp_input.dense_shape), axis=0)], axis=0), axis=[0], keep_dims=False)
        return SparseTensor(sp_input.indices, sp_input.values, least)
    wanted = _tenon.convert(new_shape, "int64")
    sp_input.dense_shape.shape.assert_is_compatible_with(wanted.shape)
    from tenon.tf.arrays import static_value
    known = static_value(wanted)
    if known is not None and any(have is not None and have > most for have, most in zip(sp_input.shape, known.tolist())):
        raise ValueError(f"Requested new_shape {known.tolist()} is smaller than the shape {sp_input.shape}.")
    raw_ops.Assert(condition=raw_ops.All(input=sp_input.dense_shape <= wanted, axis=[0], keep_dims=False),
                   data=["new_shape is smaller than the shape of the sparse tensor"], summarize=3)
    return SparseTensor(sp_input.indices, sp_input.values, wanted)


def mask(a, mask_indices, name=None):
    """IndexedSlices without the rows at `mask_indices`."""
    from tenon.tf.sparse_tensor import IndexedSlices
    kept = raw_ops.ListDiff(x=a.indices, y=_tenon.convert(mask_indices, a.indices.dtype))
    return IndexedSlices(raw_ops.GatherV2(params=a.values, indices=kept.idx, axis=0), kept.out, a.dense_shape)


def eye(num_rows, num_columns=None, dtype="float32", name=None):
    num_columns = num_rows if num_columns is None else num_columns
    count = min(num_rows, num_columns)
    return SparseTensor([[i, i] for i in _range(count)] or raw_ops.Fill(dims=[0, 2], value=_tenon.convert(0, "int64")),
                        raw_ops.Fill(dims=[count], value=_tenon.convert(1, dtype)), [num_rows, num_columns])


def add(a, b, threshold=0):
    """The sum, sparse where both are; values of at most `threshold` are left out."""
    if isinstance(b, SparseTensor) and not isinstance(a, SparseTensor):
        a, b = b, a
    a = _check(a)
    if isinstance(b, SparseTensor):
        threshold = _tenon.convert(threshold, a.dtype.real_dtype if a.dtype.is_complex else a.dtype)
        found = raw_ops.SparseAdd(a_indices=a.indices, a_values=a.values, a_shape=a.dense_shape, b_indices=b.indices,
                                  b_values=b.values, b_shape=b.dense_shape, thresh=threshold)
        shape = found.sum_shape
        if shape.is_symbolic:
            shape.partly_known = [x if y is None else y for x, y in zip(a.shape.as_list(), b.shape.as_list())]
        return SparseTensor(found.sum_indices, found.sum_values, shape)
    return raw_ops.SparseTensorDenseAdd(a_indices=a.indices, a_values=a.values, a_shape=a.dense_shape, b=_tenon.convert(b))


def _pairwise(op):
    def pairwise(sp_a, sp_b, name=None):
        indices, values = getattr(raw_ops, op)(a_indices=sp_a.indices, a_values=sp_a.values, a_shape=sp_a.dense_shape,
                                               b_indices=sp_b.indices, b_values=sp_b.values, b_shape=sp_b.dense_shape)
        return SparseTensor(indices, values, sp_a.dense_shape)
    return pairwise


maximum, minimum = _pairwise("SparseSparseMaximum"), _pairwise("SparseSparseMinimum")


def softmax(sp_input, name=None):
    return sp_input.with_values(raw_ops.SparseSoftmax(sp_indices=sp_input.indices, sp_values=sp_input.values,
                                                      sp_shape=sp_input.dense_shape))


def _reduction(op):
    def reduce(sp_input, axis=None, keepdims=None, output_is_sparse=False, name=None):
        sp_input = _check(sp_input)
        if axis is None:
            axis = list(_range(sp_input.shape.rank))
        axis = _tenon.convert([axis] if isinstance(axis, int) else axis, "int32")
        if output_is_sparse:
            found = getattr(raw_ops, op + "Sparse")(**_input(sp_input), reduction_axes=axis, keep_dims=bool(keepdims))
            return SparseTensor(found.output_indices, found.output_values, found.output_shape)
        return getattr(raw_ops, op)(**_input(sp_input), reduction_axes=axis, keep_dims=bool(keepdims))
    return reduce


reduce_sum, reduce_max = _reduction("SparseReduceSum"), _reduction("SparseReduceMax")


def sparse_dense_matmul(sp_a, b, adjoint_a=False, adjoint_b=False, name=None):
    """The product of two matrices, one of which is sparse."""
    if isinstance(b, SparseTensor) and not isinstance(sp_a, SparseTensor):
        product = sparse_dense_matmul(b, sp_a, not adjoint_b, not adjoint_a)
        return raw_ops.Transpose(x=raw_ops.Conj(input=product) if product.dtype.is_complex else product, perm=[1, 0])
    sp_a, b = _check(sp_a), _tenon.convert(b)
    made = raw_ops.SparseTensorDenseMatMul(a_indices=sp_a.indices, a_values=sp_a.values, a_shape=sp_a.dense_shape, b=b,
                                           adjoint_a=adjoint_a, adjoint_b=adjoint_b)
    if made.is_symbolic and sp_a.shape.rank == 2 and b.shape.rank == 2:
        made.set_shape([sp_a.shape[1 if adjoint_a else 0], b.shape[0 if adjoint_b else 1]])
    return made


def _segments(op):
    def segment(data, indices, segment_ids, num_segments=None, sparse_gradient=False, name=None):
        if num_segments is None:
            return getattr(raw_ops, op)(data=data, indices=indices, segment_ids=segment_ids)
        return getattr(raw_ops, op + "WithNumSegments")(data=data, indices=indices, segment_ids=segment_ids,
                                                        num_segments=num_segments)
    return segment


segment_sum, segment_mean, segment_sqrt_n = (_segments(f"SparseSegment{kind}") for kind in ("Sum", "Mean", "SqrtN"))


def cross(inputs, name=None, separator=None):
    """The features of each row, joined by "_X_" or `separator`, in all combinations."""
    sparse, dense = _crossed(inputs, "string")
    found = raw_ops.SparseCrossV2(indices=[x.indices for x in sparse], values=[x.values for x in sparse],
                                  shapes=[x.dense_shape for x in sparse], dense_inputs=dense,
                                  sep="_X_" if separator is None else separator)
    return SparseTensor(found.output_indices, found.output_values, found.output_shape)


def cross_hashed(inputs, num_buckets=0, hash_key=None, name=None):
    """As cross(), each combination as a number."""
    sparse, dense = _crossed(inputs, None)
    internal = "string" if any(x.dtype == "string" for x in [*sparse, *dense]) else "int64"
    found = raw_ops.SparseCross(indices=[x.indices for x in sparse], values=[x.values for x in sparse],
                                shapes=[x.dense_shape for x in sparse], dense_inputs=dense, hashed_output=True,
                                num_buckets=num_buckets, hash_key=0xDECAFCAFFE if hash_key is None else hash_key,
                                out_type="int64", internal_type=internal)
    return SparseTensor(found.output_indices, found.output_values, found.output_shape)


def _crossed(inputs, dtype):
    """(sparse, dense) features, whose numbers are 64 bits wide or, where `dtype` is string, texts."""
    def value(x):
        if x.dtype == "string":
            return x
        return raw_ops.AsString(input=x) if dtype == "string" else _cast(x, "int64")

    if not isinstance(inputs, (list, tuple)):
        raise TypeError("Inputs must be a list")
    sparse = [x.with_values(value(x.values)) for x in inputs if isinstance(x, SparseTensor)]
    dense = [value(_tenon.convert(x)) for x in inputs if not isinstance(x, SparseTensor)]
    return sparse, dense


def bincount(values, weights=None, axis=0, minlength=None, maxlength=None, binary_output=False, name=None):
    """How often each number is there, as a sparse tensor; in each row with axis=-1."""
    from tenon.tf.ragged_tensor import RaggedTensor
    if axis not in (0, -1):
        raise ValueError(f"Unsupported value for argument axis={axis}. Only 0 and -1 are currently supported.")
    if axis == 0:
        flat = {SparseTensor: lambda x: x.values, RaggedTensor: lambda x: x.flat_values}
        values = flat.get(type(values), _tenon.convert)(values)
        values = raw_ops.Reshape(tensor=values, shape=[-1])
        if weights is not None:
            weights = raw_ops.Reshape(tensor=flat.get(type(weights), _tenon.convert)(weights), shape=[-1])
    if not isinstance(values, (SparseTensor, RaggedTensor)):
        values = _tenon.convert(values)
    dtype = "int32" if values.dtype == "int32" else "int64"
    limits = {"minlength": -1 if minlength is None else minlength, "maxlength": -1 if maxlength is None else maxlength,
              "binary_output": binary_output}

    def given(part):
        if weights is None:
            return raw_ops.Fill(dims=[0], value=_tenon.convert(0, dtype))
        return getattr(weights, part) if part and not isinstance(weights, _tenon.Tensor) else _tenon.convert(weights)

    def numbers(x):
        return x if x.dtype in ("int32", "int64") else _cast(x, "int64")

    if isinstance(values, SparseTensor):
        found = raw_ops.SparseCountSparseOutput(indices=values.indices, values=numbers(values.values),
                                                dense_shape=values.dense_shape, weights=given("values"), **limits)
    elif isinstance(values, RaggedTensor):
        found = raw_ops.RaggedCountSparseOutput(splits=_cast(values.row_splits, "int64"), values=numbers(values.values),
                                                weights=given("values"), **limits)
    else:
        found = raw_ops.DenseCountSparseOutput(values=numbers(values), weights=given(None), **limits)
    return SparseTensor(found.output_indices, found.output_values, found.output_dense_shape)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.sparse", name, globals()))
