"""Sparse, ragged and indexed tensors: the classes, so that programs can ask whether a value is one.

Sparse tensors can be made and made dense; nothing else takes them. Ragged tensors cannot be made.
"""
from tenon import _tenon, raw_ops
from tenon.constants import TensorLike
from tenon.tensor_shape import TensorShape
from tenon.tf import missing


class CompositeTensor(TensorLike):
    """A value of several tensors."""


class SparseTensor(CompositeTensor):
    """Values at places; all else is zero."""

    def __init__(self, indices, values, dense_shape):
        self.indices = _tenon.convert(indices, "int64")
        self.values = _tenon.convert(values)
        from tenon.tf import arrays, elementwise
        self.dense_shape = elementwise.cast(arrays.shape_vector(dense_shape), "int64")

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def shape(self):
        from tenon.tf.arrays import static_value
        known = static_value(self.dense_shape)
        return TensorShape([None] * self.dense_shape.shape[0] if known is None else known.tolist())

    def __repr__(self):
        return f"SparseTensor(indices={self.indices}, values={self.values}, dense_shape={self.dense_shape})"


class RaggedTensor(CompositeTensor):
    def __init__(self, *_, **__):
        raise NotImplementedError("Ragged tensors are not supported by Tenon; use dense tensors.")


class IndexedSlices(CompositeTensor):
    """Rows at places along the first dimension. Converted to a tensor it is their sum at each place."""

    def __init__(self, values, indices, dense_shape=None):
        self.values, self.indices, self.dense_shape = values, indices, dense_shape

    @property
    def dtype(self):
        return self.values.dtype

    def __tf_tensor__(self, dtype=None, name=None):
        if self.dense_shape is None:
            raise ValueError("Tensor conversion requested for IndexedSlices without dense_shape.")
        rows = raw_ops.StridedSlice(input=self.dense_shape, begin=[0], end=[1], strides=[1], shrink_axis_mask=1)
        return raw_ops.UnsortedSegmentSum(data=self.values, segment_ids=self.indices, num_segments=rows)


def to_dense(sp_input, default_value=None, validate_indices=True, name=None):
    default = _tenon.convert(0 if default_value is None else default_value, sp_input.dtype)
    return raw_ops.SparseToDense(sparse_indices=sp_input.indices, output_shape=sp_input.dense_shape,
                                 sparse_values=sp_input.values, default_value=default,
                                 validate_indices=validate_indices)


def from_dense(tensor, name=None):
    tensor = _tenon.convert(tensor)
    zero = raw_ops.ZerosLike(x=tensor)
    indices = raw_ops.Where(condition=raw_ops.NotEqual(x=tensor, y=zero))
    return SparseTensor(indices, raw_ops.GatherNd(params=tensor, indices=indices),
                        raw_ops.Shape(input=tensor, out_type="int64"))


class _Sparse(type(missing.unsupported("", ""))):
    """tf.sparse: what is here, and for all else a sentence."""

    SparseTensor, to_dense, from_dense = SparseTensor, staticmethod(to_dense), staticmethod(from_dense)


sparse = _Sparse("tf.sparse", "Sparse tensors")
ragged = missing.unsupported("tf.ragged", "Ragged tensors")
