"""SparseTensor, values at places with zeros between them, and IndexedSlices, rows at places."""
import operator

from tenon import _tenon, raw_ops
from tenon.composite import CompositeSpec, CompositeTensor
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec
from tenon.tf.ragged_tensor import cast


class SparseTensor(CompositeTensor):
    """Values at places; all else is zero. Immutable."""

    def __init__(self, indices, values, dense_shape):
        from tenon.tf import arrays
        self.indices = _tenon.convert(indices, "int64")
        self.values = _tenon.convert(values)
        self.dense_shape = arrays.shape_vector(dense_shape, "int64")
        if self.dense_shape.dtype != "int64":
            known = getattr(self.dense_shape, "partly_known", None)
            self.dense_shape = arrays.known_in_part(cast(self.dense_shape, "int64"), known)
        ranks = self.indices.shape.rank, self.values.shape.rank, self.dense_shape.shape.rank
        if any(rank not in (None, wanted) for rank, wanted in zip(ranks, (2, 1, 1))):
            raise ValueError(f"A SparseTensor has indices of rank 2, values and a dense_shape of rank 1; they have {ranks}.")
        self.indices.shape[:1].assert_is_compatible_with(self.values.shape)
        self.indices.shape[1:].assert_is_compatible_with(self.dense_shape.shape)

    @classmethod
    def from_value(cls, sparse_tensor_value):
        if isinstance(sparse_tensor_value, cls):
            return sparse_tensor_value
        return cls(sparse_tensor_value.indices, sparse_tensor_value.values, sparse_tensor_value.dense_shape)

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def shape(self):
        from tenon.tf.arrays import static_value
        partly = getattr(self.dense_shape, "partly_known", None)
        if partly is not None:
            return TensorShape([None if d is None or d < 0 else d for d in partly])
        known = static_value(self.dense_shape)
        if known is not None:
            return TensorShape(known.tolist())
        rank = self.dense_shape.shape
        rank = rank[0] if rank.rank == 1 else None
        if rank is None and self.indices.shape.rank == 2:
            rank = self.indices.shape[1]
        return TensorShape(None if rank is None else [None] * rank)

    def get_shape(self):
        return self.shape

    @property
    def rank(self):
        return self.shape.rank

    def set_shape(self, shape):
        merged = self.shape.merge_with(shape)
        if self.dense_shape.is_symbolic and merged.rank is not None:
            self.dense_shape.partly_known = merged.as_list()

    def with_values(self, new_values):
        return SparseTensor(self.indices, new_values, self.dense_shape)

    def numpy(self):
        """(indices, values, dense_shape) as arrays."""
        return SparseTensorValue(self.indices.numpy(), self.values.numpy(), self.dense_shape.numpy())

    @property
    def _components(self):
        return [self.indices, self.values, self.dense_shape]

    @property
    def _type_spec(self):
        return SparseTensorSpec(self.shape, self.dtype)

    def _times(self, op, other):
        other = _tenon.convert(other, None if hasattr(other, "dtype") else self.dtype)
        return self.with_values(getattr(raw_ops, op)(sp_indices=self.indices, sp_values=self.values, sp_shape=self.dense_shape,
                                                     dense=other))

    def __mul__(self, other):
        return NotImplemented if isinstance(other, CompositeTensor) else self._times("SparseDenseCwiseMul", other)

    def __truediv__(self, other):
        return NotImplemented if isinstance(other, CompositeTensor) else self._times("SparseDenseCwiseDiv", other)

    def __neg__(self):
        return self.with_values(-self.values)

    def __repr__(self):
        return f"SparseTensor(indices={self.indices}, values={self.values}, dense_shape={self.dense_shape})"

    def __reduce__(self):
        return SparseTensor, (self.indices, self.values, self.dense_shape)


class SparseTensorValue(tuple):
    """(indices, values, dense_shape) as arrays."""

    def __new__(cls, indices, values, dense_shape):
        return super().__new__(cls, (indices, values, dense_shape))

    indices, values, dense_shape = (property(lambda self, i=i: self[i]) for i in range(3))


class SparseTensorSpec(CompositeSpec):
    """What a SparseTensor looks like."""

    def __init__(self, shape=None, dtype="float32"):
        self._shape, self._dtype = TensorShape(shape), _tenon.as_dtype(dtype)

    @property
    def value_type(self):
        return SparseTensor

    @property
    def _kind(self):
        return (SparseTensorSpec, self._shape.rank)

    @property
    def _component_specs(self):
        rank = self._shape.rank
        return [TensorSpec([None, rank], "int64"), TensorSpec([None], self._dtype), TensorSpec([rank], "int64")]

    def _from_tensors(self, tensors):
        indices, values, dense_shape = tensors
        if dense_shape.is_symbolic and self._shape.rank is not None and not hasattr(dense_shape, "partly_known"):
            dense_shape.partly_known = self._shape.as_list()
        return SparseTensor(indices, values, dense_shape)

    def _from_specs(self, specs):
        return SparseTensorSpec(self._shape, specs[1].dtype)

    def _with_shape(self, shape):
        return SparseTensorSpec(shape, self._dtype)

    # As elements of datasets.

    _encoded_dtype = "string"

    def _batched(self, rows):
        return SparseTensorSpec(None if self._shape.rank is None else [rows] + self._shape.as_list(), self._dtype)

    def _unbatched(self):
        return SparseTensorSpec(None if self._shape.rank is None else self._shape[1:], self._dtype)

    def _encode(self, value, rows=False):
        """Three texts of the value, or with `rows` three for each row."""
        op = raw_ops.SerializeManySparse if rows else raw_ops.SerializeSparse
        return op(sparse_indices=value.indices, sparse_values=value.values, sparse_shape=value.dense_shape)

    def _decode(self, texts):
        parts = raw_ops.DeserializeSparse(serialized_sparse=texts, dtype=self._dtype)
        parts = [parts.sparse_indices, parts.sparse_values, parts.sparse_shape]
        if parts[0].is_symbolic:
            for tensor, spec in zip(parts, self._component_specs):
                tensor.set_shape(spec.shape)
        return self._from_tensors(parts)

    def __repr__(self):
        return f"SparseTensorSpec({self._shape!r}, {self._dtype!r})"

    def __reduce__(self):
        return SparseTensorSpec, (self._shape, self._dtype)


class IndexedSlices(CompositeTensor):
    """Rows at places along the first dimension. Converted to a tensor it is their sum at each place."""

    def __init__(self, values, indices, dense_shape=None):
        self.values, self.indices, self.dense_shape = values, indices, dense_shape

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def shape(self):
        from tenon.tf.arrays import static_value
        known = None if self.dense_shape is None else static_value(self.dense_shape)
        return TensorShape(None if known is None else known.tolist())

    @property
    def _components(self):
        return [self.values, self.indices] + ([] if self.dense_shape is None else [self.dense_shape])

    @property
    def _type_spec(self):
        return IndexedSlicesSpec(self)

    def __neg__(self):
        return IndexedSlices(-self.values, self.indices, self.dense_shape)

    def __tf_tensor__(self, dtype=None, name=None):
        if self.dense_shape is None:
            raise ValueError("Tensor conversion requested for IndexedSlices without dense_shape.")
        rows = raw_ops.StridedSlice(input=self.dense_shape, begin=[0], end=[1], strides=[1], shrink_axis_mask=1)
        return raw_ops.UnsortedSegmentSum(data=self.values, segment_ids=self.indices, num_segments=rows)

    def __repr__(self):
        return f"IndexedSlices(indices={self.indices}, values={self.values}, dense_shape={self.dense_shape})"


def _as_tensor(function):
    return lambda self, other: function(_tenon.convert(self), other)


def _to_tensor(function):
    return lambda self, other: function(other, _tenon.convert(self))


# Beside a tensor they are one.
for _name in ("add", "sub", "mul", "truediv"):
    setattr(IndexedSlices, f"__{_name}__", _as_tensor(getattr(operator, _name)))
    setattr(IndexedSlices, f"__r{_name}__", _to_tensor(getattr(operator, _name)))


class IndexedSlicesSpec(CompositeSpec):
    """What IndexedSlices look like."""

    def __init__(self, like):
        self._specs = [TensorSpec(part.shape, part.dtype) for part in like._components]
        self._shape, self._dtype = like.shape, like.dtype

    @property
    def value_type(self):
        return IndexedSlices

    @property
    def _kind(self):
        return (IndexedSlicesSpec, len(self._specs))

    @property
    def _component_specs(self):
        return self._specs

    def _from_tensors(self, tensors):
        return IndexedSlices(*tensors)

    def _from_specs(self, specs):
        made = object.__new__(IndexedSlicesSpec)
        made._specs, made._shape, made._dtype = list(specs), self._shape, specs[0].dtype
        return made
