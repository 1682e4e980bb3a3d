"""Features of tf.train.Examples that are put together from several: sparse and ragged ones."""
import collections

from tenon import _tenon, raw_ops
from tenon.tf.ragged_index import gather
from tenon.tf.ragged_tensor import RaggedTensor, cast, places_in_rows, running_total
from tenon.tf.sparse_tensor import SparseTensor

SparseFeature = collections.namedtuple("SparseFeature", ["index_key", "value_key", "dtype", "size", "already_sorted"],
                                       defaults=[False])


class RaggedFeature(collections.namedtuple("RaggedFeature", ["dtype", "value_key", "partitions", "row_splits_dtype",
                                                             "validate"])):
    """Values of a feature, cut into rows by other features: `partitions`, the outermost first."""

    RowSplits, RowLengths, RowStarts, RowLimits, ValueRowIds = (
        collections.namedtuple(name, ["key"]) for name in ("RowSplits", "RowLengths", "RowStarts", "RowLimits", "ValueRowIds"))
    UniformRowLength = collections.namedtuple("UniformRowLength", ["length"])

    def __new__(cls, dtype, value_key=None, partitions=(), row_splits_dtype="int32", validate=False):
        return super().__new__(cls, _tenon.as_dtype(dtype), value_key, tuple(partitions), _tenon.as_dtype(row_splits_dtype),
                               validate)


def value_key(key, feature):
    return key if feature.value_key is None else feature.value_key


def index_keys(feature):
    return [feature.index_key] if isinstance(feature.index_key, str) else list(feature.index_key)


def sparse(feature, parsed):
    """The values of one sparse feature at the places that others have, in each Example."""
    values = parsed[feature.value_key]
    places = [raw_ops.ExpandDims(input=parsed[key].values, axis=1) for key in index_keys(feature)]
    sizes = [feature.size] if isinstance(feature.size, int) else list(feature.size)
    indices = raw_ops.ConcatV2(values=[values.indices[:, :-1], *places], axis=1)
    shape = raw_ops.ConcatV2(values=[values.dense_shape[:-1], _tenon.convert(sizes, "int64")], axis=0)
    made = SparseTensor(indices, values.values, shape)
    if feature.already_sorted:
        return made
    from tenon.tf.sparse import reorder
    return reorder(made)


def ragged(key, feature, parsed):
    """The values of a feature, cut by the features of its partitions; a tensor where there is nothing to cut."""
    value = parsed[value_key(key, feature)]
    if not feature.partitions:
        return value
    of_examples = isinstance(value, RaggedTensor)
    made = value.values if of_examples else value
    rows = value.row_splits if of_examples else None  # of the Examples, in what has been made so far
    for partition in reversed(feature.partitions):
        if isinstance(partition, RaggedFeature.UniformRowLength):
            if isinstance(made, RaggedTensor):
                made = RaggedTensor.from_uniform_row_length(made, partition.length, validate=feature.validate)
            else:
                made = raw_ops.Reshape(tensor=made, shape=[-1, partition.length, *made.shape[1:]])
            rows = None if rows is None else raw_ops.FloorDiv(x=rows, y=_tenon.convert(partition.length, rows.dtype))
            continue
        lengths, rows = _lengths(partition, parsed[partition.key], rows, feature.row_splits_dtype, made)
        made = RaggedTensor._make(made, running_total(lengths))
    return RaggedTensor._make(made, rows) if of_examples else made


def _lengths(partition, given, below, dtype, values):
    """(lengths of all rows, where the rows of each Example begin and end)."""
    kind = type(partition).__name__
    if not isinstance(given, RaggedTensor):
        given = RaggedTensor._make(given, raw_ops.Pack(values=[_tenon.convert(0, dtype), cast(
            raw_ops.Shape(input=given)[0], dtype)]))
        from tenon.tf.ragged_tensor import rows_of
        below = raw_ops.Pack(values=[_tenon.convert(0, dtype), rows_of(values, dtype)])
        return _lengths(partition, given, below, dtype, values)[0], None
    given = given.with_values(cast(given.values, dtype))
    rows = given.row_splits
    if kind == "RowLengths":
        return given.values, rows
    if kind == "ValueRowIds":
        counts = raw_ops.UnsortedSegmentMax(data=given.values + 1, segment_ids=given.value_rowids(), num_segments=given.nrows())
        rows = running_total(raw_ops.Maximum(x=counts, y=raw_ops.ZerosLike(x=counts)))
        ids = given.values + raw_ops.GatherV2(params=rows, indices=given.value_rowids(), axis=0)
        return raw_ops.UnsortedSegmentSum(data=raw_ops.OnesLike(x=ids), segment_ids=ids, num_segments=rows[-1]), rows
    sizes = raw_ops.ExpandDims(input=below[1:] - below[:-1], axis=1)  # of the values of each Example
    if kind == "RowSplits":
        given = given[:, 1:]
        rows = given.row_splits
    from tenon.tf.ragged_rules import concat
    if kind == "RowStarts":
        ends = concat([given[:, 1:], _rows(sizes)], 1)
        # An Example without rows has no start, and the end of its values is no row's.
        ends = gather_rows(ends, given)
        return ends - given.values, rows
    zero = concat([_rows(raw_ops.ZerosLike(x=sizes)), given[:, :-1]], 1)
    return given.values - gather_rows(zero, given), rows


def _rows(column):
    from tenon.tf.ragged_conversion import from_tensor
    return from_tensor(column, None, None, 1, column.dtype)


def gather_rows(longer, like):
    """The values of `longer` that stand where those of `like` do."""
    ids = like.value_rowids()
    return gather(longer.values, gather(longer.row_splits, ids) + places_in_rows(like, ids))
