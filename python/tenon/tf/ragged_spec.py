"""RaggedTensorSpec: what ragged tensors look like, to functions and to datasets."""
from tenon import _tenon, raw_ops
from tenon.composite import CompositeSpec
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec
from tenon.tf.ragged_tensor import RaggedTensor


class RaggedTensorSpec(CompositeSpec):
    """What a RaggedTensor looks like."""

    def __init__(self, shape=None, dtype="float32", ragged_rank=None, row_splits_dtype="int64", flat_values_spec=None):
        self._shape = TensorShape(shape)
        self._dtype = _tenon.as_dtype(flat_values_spec.dtype if flat_values_spec is not None and dtype is None else dtype)
        self._row_splits_dtype = _tenon.as_dtype(row_splits_dtype)
        rank = self._shape.rank
        if ragged_rank is None:
            if rank is None:
                raise ValueError("Must specify ragged_rank or a shape with a known rank.")
            ragged_rank = rank - 1
        if not isinstance(ragged_rank, int):
            raise TypeError(f"Argument `ragged_rank` must be an int. Received {ragged_rank}.")
        if rank is not None and ragged_rank >= rank:
            raise ValueError(f"Argument `ragged_rank` ({ragged_rank}) must be less than rank ({rank}).")
        self._ragged_rank = ragged_rank
        self.flat_values_spec = flat_values_spec

    @classmethod
    def from_value(cls, value):
        if not isinstance(value, RaggedTensor):
            return cls(value.shape, value.dtype, 0)
        return cls(value.shape, value.dtype, value.ragged_rank, value.row_splits.dtype)

    @property
    def ragged_rank(self):
        return self._ragged_rank

    @property
    def row_splits_dtype(self):
        return self._row_splits_dtype

    @property
    def value_type(self):
        return RaggedTensor if self._ragged_rank else _tenon.Tensor

    def _dims(self):
        return [None] * (self._ragged_rank + 1) if self._shape.rank is None else self._shape.as_list()

    @property
    def _kind(self):
        return (RaggedTensorSpec, self._ragged_rank, self._row_splits_dtype, self._uniform_lengths())

    def _uniform_lengths(self):
        return tuple(self._dims()[1:self._ragged_rank + 1])

    @property
    def _component_specs(self):
        dims, count = self._dims(), self._ragged_rank
        inner = TensorShape(None) if self._shape.rank is None else TensorShape([None] + dims[count + 1:])
        sizes, rows = [], dims[0]
        for length in [*dims[1:count + 1], 1]:
            sizes.append(rows)
            rows = None if rows is None or length is None else rows * length
        splits = [TensorSpec([None if n is None else n + 1], self._row_splits_dtype) for n in sizes[:count]]
        return [TensorSpec(inner, self._dtype), *splits]

    def _from_tensors(self, tensors):
        made = tensors[0]
        for splits, length in zip(reversed(tensors[1:]), reversed(self._uniform_lengths())):
            made = RaggedTensor._make(made, splits, length)
        return made

    def _from_specs(self, specs):
        flat, splits = specs[0], specs[1:]
        if flat.shape.rank is None:
            return RaggedTensorSpec(None, flat.dtype, self._ragged_rank, self._row_splits_dtype)
        rows = splits[0].shape[0]
        return RaggedTensorSpec([None if rows is None else rows - 1, *self._uniform_lengths(), *flat.shape.as_list()[1:]],
                                flat.dtype, self._ragged_rank, self._row_splits_dtype)

    def _with_shape(self, shape):
        return RaggedTensorSpec(shape, self._dtype, self._ragged_rank, self._row_splits_dtype)

    # As elements of datasets.

    _encoded_dtype = "variant"

    def _batched(self, rows):
        shape = TensorShape(None) if self._shape.rank is None else TensorShape([rows] + self._shape.as_list())
        return RaggedTensorSpec(shape, self._dtype, self._ragged_rank + 1, self._row_splits_dtype)

    def _unbatched(self):
        shape = TensorShape(None) if self._shape.rank is None else self._shape[1:]
        return RaggedTensorSpec(shape, self._dtype, self._ragged_rank - 1, self._row_splits_dtype)

    def _encode(self, value, rows=False):
        """One variant of the value, or with `rows` a vector of its rows."""
        ragged = isinstance(value, RaggedTensor)
        splits = list(value.nested_row_splits) if ragged else []
        return raw_ops.RaggedTensorToVariant(rt_nested_splits=splits, rt_dense_values=value.flat_values if ragged else value,
                                             batched_input=rows, Tsplits=self._row_splits_dtype)

    def _decode(self, variant):
        parts = raw_ops.RaggedTensorFromVariant(
            encoded_ragged=variant, input_ragged_rank=-1 if variant.shape.rank is None else
            self._ragged_rank - variant.shape.rank, output_ragged_rank=self._ragged_rank, Tvalues=self._dtype,
            Tsplits=self._row_splits_dtype)
        flat, splits = parts.output_dense_values, parts.output_nested_splits
        if flat.is_symbolic:
            for tensor, spec in zip([flat, *splits], self._component_specs):
                tensor.set_shape(spec.shape if self._ragged_rank else self._shape)
        return self._from_tensors([flat, *splits])

    def __repr__(self):
        return (f"RaggedTensorSpec({self._shape!r}, {self._dtype!r}, {self._ragged_rank}, {self._row_splits_dtype!r})")

    def __reduce__(self):
        return RaggedTensorSpec, (self._shape, self._dtype, self._ragged_rank, self._row_splits_dtype)
