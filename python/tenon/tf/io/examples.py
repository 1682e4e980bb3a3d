"""Parsing serialized tf.train.Examples into tensors."""
import collections

from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape
from tenon.tf.io import composed
from tenon.tf.io.composed import RaggedFeature, SparseFeature
from tenon.tf.ragged_tensor import RaggedTensor
from tenon.tf.sparse_tensor import SparseTensor

FixedLenFeature = collections.namedtuple("FixedLenFeature", ["shape", "dtype", "default_value"], defaults=[None])
FixedLenSequenceFeature = collections.namedtuple("FixedLenSequenceFeature", ["shape", "dtype", "allow_missing",
                                                                             "default_value"], defaults=[False, None])
VarLenFeature = collections.namedtuple("VarLenFeature", ["dtype"])


def parse_example(serialized, features, example_names=None, name=None):
    """A dictionary of the features of each of the Examples: dense tensors, stacked, sparse and ragged ones."""
    return _parse(_tenon.convert(serialized, "string"), features)


def parse_single_example(serialized, features, example_names=None, name=None):
    """A dictionary of the features of an Example."""
    serialized = _tenon.convert(serialized, "string")
    if serialized.shape.rank not in (0, None):
        raise ValueError(f"parse_single_example takes a scalar, not a tensor of shape {serialized.shape}.")
    return _parse(serialized, features)


def _parse(serialized, features):
    if not features:
        raise ValueError("Argument `features` cannot be None or empty.")
    dense, sparse, ragged = {}, {}, {}
    for key, feature in sorted(features.items()):
        if isinstance(feature, VarLenFeature):
            _ask(sparse, key, feature.dtype)
        elif isinstance(feature, SparseFeature):
            for index in composed.index_keys(feature):
                _ask(sparse, index, "int64")
            _ask(sparse, feature.value_key, feature.dtype)
        elif isinstance(feature, RaggedFeature):
            _ask(ragged, composed.value_key(key, feature), feature.dtype, feature.row_splits_dtype)
            for partition in feature.partitions:
                if hasattr(partition, "key"):
                    _ask(ragged, partition.key, "int64", feature.row_splits_dtype)
        elif isinstance(feature, (FixedLenFeature, FixedLenSequenceFeature)):
            dense[key] = feature
        else:
            raise ValueError(f"The feature '{key}' is a {type(feature).__name__}: FixedLenFeature, FixedLenSequenceFeature, "
                             "VarLenFeature, SparseFeature and RaggedFeature can be parsed.")
    shapes, defaults = [], []
    for key, feature in dense.items():
        shape, default = _shape_and_default(key, feature)
        shapes.append(shape)
        defaults.append(default)
    found = iter(_tenon.parse_example(
        serialized, _keys(sparse), [dtype for dtype, _ in sparse.values()], _keys(dense), defaults, shapes, _keys(ragged),
        [dtype for dtype, _ in ragged.values()], [splits for _, splits in ragged.values()]))

    def take(count):
        return [next(found) for _ in range(count)]

    parts = [take(len(sparse)) for _ in range(3)]
    sparse = {key: SparseTensor(*each) for key, *each in zip(sparse, *parts)}
    parsed = dict(zip(dense, take(len(dense))))
    values, splits = take(len(ragged)), take(len(ragged))
    single = serialized.shape.rank == 0
    ragged = {key: value if single else RaggedTensor._make(value, level)
              for key, value, level in zip(ragged, values, splits)}
    for key, feature in features.items():
        if isinstance(feature, VarLenFeature):
            parsed[key] = sparse[key]
        elif isinstance(feature, SparseFeature):
            parsed[key] = composed.sparse(feature, sparse)
        elif isinstance(feature, RaggedFeature):
            parsed[key] = composed.ragged(key, feature, ragged)
    return {key: parsed[key] for key in sorted(features)}


def _ask(asked, key, dtype, splits=None):
    """Notes that a feature is to be read, perhaps for several of those that were asked for."""
    wanted = (_tenon.as_dtype(dtype), splits)
    if asked.setdefault(key, wanted) != wanted:
        raise ValueError(f"The feature '{key}' is asked for with two dtypes: {asked[key][0].name} and {wanted[0].name}.")


def _keys(features):
    return _tenon.convert(list(features), "string")


def _shape_and_default(key, feature):
    dtype = _tenon.as_dtype(feature.dtype)
    shape = TensorShape(feature.shape)
    if isinstance(feature, FixedLenSequenceFeature):
        if not feature.allow_missing:
            raise ValueError("Unsupported: FixedLenSequenceFeature requires allow_missing to be True.")
        padding = feature.default_value
        if padding is None:
            padding = "" if dtype == "string" else 0
        return TensorShape([None]) + shape, _tenon.convert(padding, dtype)
    if feature.default_value is None:
        return shape, _tenon.convert([], dtype)
    default = _tenon.convert(feature.default_value, dtype)
    if default.shape != shape and shape.is_fully_defined():
        if default.shape.num_elements() == 1:
            default = raw_ops.Fill(dims=_tenon.convert(shape.as_list(), "int32"),
                                   value=raw_ops.Reshape(tensor=default, shape=_tenon.convert([], "int32")))
        else:
            default = raw_ops.Reshape(tensor=default, shape=_tenon.convert(shape.as_list(), "int32"))
    return shape, default
