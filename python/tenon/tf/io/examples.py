"""Parsing serialized tf.train.Examples into tensors."""
import collections

from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape

FixedLenFeature = collections.namedtuple("FixedLenFeature", ["shape", "dtype", "default_value"], defaults=[None])
FixedLenSequenceFeature = collections.namedtuple("FixedLenSequenceFeature", ["shape", "dtype", "allow_missing",
                                                                             "default_value"], defaults=[False, None])
VarLenFeature = collections.namedtuple("VarLenFeature", ["dtype"])


def parse_example(serialized, features, example_names=None, name=None):
    """A dictionary of the features of each of the Examples: dense tensors, stacked."""
    return _parse(_tenon.convert(serialized, "string"), features)


def parse_single_example(serialized, features, example_names=None, name=None):
    """A dictionary of the features of an Example: dense tensors."""
    serialized = _tenon.convert(serialized, "string")
    if serialized.shape.rank not in (0, None):
        raise ValueError(f"parse_single_example takes a scalar, not a tensor of shape {serialized.shape}.")
    return _parse(serialized, features)


def _parse(serialized, features):
    if not features:
        raise ValueError("Argument `features` cannot be None or empty.")
    dense, sparse = {}, {}
    for key, feature in sorted(features.items()):
        if isinstance(feature, VarLenFeature):
            sparse[key] = feature
        elif isinstance(feature, (FixedLenFeature, FixedLenSequenceFeature)):
            dense[key] = feature
        else:
            raise ValueError(f"The feature '{key}' is a {type(feature).__name__}: FixedLenFeature, FixedLenSequenceFeature and "
                             "VarLenFeature can be parsed.")
    shapes, defaults = [], []
    for key, feature in dense.items():
        shape, default = _shape_and_default(key, feature)
        shapes.append(shape)
        defaults.append(default)
    found = _tenon.parse_example(serialized, _keys(sparse), [_tenon.as_dtype(f.dtype) for f in sparse.values()], _keys(dense),
                                 defaults, shapes)
    count = len(sparse)
    parsed = {key: _sparse(*found[i:3 * count:count]) for i, key in enumerate(sparse)}
    return {**parsed, **dict(zip(dense, found[3 * count:]))}


def _keys(features):
    return _tenon.convert(list(features), "string")


def _sparse(indices, values, shape):
    try:
        from tenon.tf.sparse import SparseTensor
    except ImportError:
        raise NotImplementedError("VarLenFeature gives a sparse tensor, which Tenon does not have: a "
                                  "FixedLenSequenceFeature with allow_missing=True gives a dense one.") from None
    return SparseTensor(indices, values, shape)


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
