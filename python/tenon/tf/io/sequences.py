"""Parsing serialized tf.train.SequenceExamples into tensors: the features of the whole, and those of its steps."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape
from tenon.tf.io.examples import FixedLenFeature, FixedLenSequenceFeature, VarLenFeature, _shape_and_default
from tenon.tf.sparse_tensor import SparseTensor


class _Asked:
    """The features of one part of the message, by kind."""

    def __init__(self, features, dense_kind):
        self.dense, self.sparse = {}, {}
        for key, feature in sorted((features or {}).items()):
            if isinstance(feature, VarLenFeature):
                self.sparse[key] = feature
            elif isinstance(feature, dense_kind):
                self.dense[key] = feature
            else:
                raise ValueError(f"The feature '{key}' is a {type(feature).__name__}: {dense_kind.__name__} and VarLenFeature can "
                                 "be parsed here.")

    def sparse_types(self):
        return [_tenon.as_dtype(f.dtype) for f in self.sparse.values()]

    def dense_types(self):
        return [_tenon.as_dtype(f.dtype) for f in self.dense.values()]

    def dense_shapes(self):
        return [TensorShape(f.shape) for f in self.dense.values()]

    def found(self, indices, values, shapes, dense):
        parsed = dict(zip(self.dense, dense))
        for key, *parts in zip(self.sparse, indices, values, shapes):
            parsed[key] = SparseTensor(*parts)
        return {key: parsed[key] for key in sorted(parsed)}


def _text(keys):
    return _tenon.convert(list(keys), "string")


def _may_lack(steps):
    """The lists that a message may lack: these are empty then."""
    return [key for key, feature in steps.dense.items() if feature.allow_missing]


def parse_single_sequence_example(serialized, context_features=None, sequence_features=None, example_name=None, name=None):
    """(features of the whole, features of the steps) of one SequenceExample."""
    whole, steps = _Asked(context_features, FixedLenFeature), _Asked(sequence_features, FixedLenSequenceFeature)
    defaults = [_shape_and_default(key, feature)[1] for key, feature in whole.dense.items()]
    out = raw_ops.ParseSingleSequenceExample(
        serialized=_tenon.convert(serialized, "string"), feature_list_dense_missing_assumed_empty=_text(_may_lack(steps)),
        context_sparse_keys=[_tenon.convert(k) for k in whole.sparse], context_dense_keys=[_tenon.convert(k) for k in whole.dense],
        feature_list_sparse_keys=[_tenon.convert(k) for k in steps.sparse],
        feature_list_dense_keys=[_tenon.convert(k) for k in steps.dense], context_dense_defaults=defaults,
        debug_name=_tenon.convert(""), context_sparse_types=whole.sparse_types(), feature_list_dense_types=steps.dense_types(),
        context_dense_shapes=whole.dense_shapes(), feature_list_sparse_types=steps.sparse_types(),
        feature_list_dense_shapes=steps.dense_shapes())
    return (whole.found(out.context_sparse_indices, out.context_sparse_values, out.context_sparse_shapes,
                        out.context_dense_values),
            steps.found(out.feature_list_sparse_indices, out.feature_list_sparse_values, out.feature_list_sparse_shapes,
                        out.feature_list_dense_values))


def parse_sequence_example(serialized, context_features=None, sequence_features=None, example_names=None, name=None):
    """The same of a vector of them; and how many steps each list has."""
    whole, steps = _Asked(context_features, FixedLenFeature), _Asked(sequence_features, FixedLenSequenceFeature)
    serialized = _tenon.convert(serialized, "string")
    defaults = [_shape_and_default(key, feature)[1] for key, feature in whole.dense.items()]
    out = raw_ops.ParseSequenceExampleV2(
        serialized=serialized, debug_name=_tenon.convert([], "string"), context_sparse_keys=_text(whole.sparse),
        context_dense_keys=_text(whole.dense), context_ragged_keys=_text([]), feature_list_sparse_keys=_text(steps.sparse),
        feature_list_dense_keys=_text(steps.dense), feature_list_ragged_keys=_text([]),
        feature_list_dense_missing_assumed_empty=_tenon.convert([f.allow_missing for f in steps.dense.values()], "bool"),
        context_dense_defaults=defaults, Ncontext_sparse=len(whole.sparse), context_sparse_types=whole.sparse_types(),
        context_ragged_value_types=[], context_ragged_split_types=[], context_dense_shapes=whole.dense_shapes(),
        Nfeature_list_sparse=len(steps.sparse), Nfeature_list_dense=len(steps.dense),
        feature_list_dense_types=steps.dense_types(), feature_list_sparse_types=steps.sparse_types(),
        feature_list_ragged_value_types=[], feature_list_ragged_split_types=[], feature_list_dense_shapes=steps.dense_shapes())
    return (whole.found(out.context_sparse_indices, out.context_sparse_values, out.context_sparse_shapes,
                        out.context_dense_values),
            steps.found(out.feature_list_sparse_indices, out.feature_list_sparse_values, out.feature_list_sparse_shapes,
                        out.feature_list_dense_values),
            dict(zip(steps.dense, out.feature_list_dense_lengths)))
