"""Batches of elements that differ in size, as ragged or sparse tensors."""
from tenon import _tenon, raw_ops
from tenon.tensor_spec import TensorSpec
from tenon.tf.data import structure
from tenon.tf.ragged_conversion import from_tensor
from tenon.tf.ragged_spec import RaggedTensorSpec
from tenon.tf.sparse_tensor import SparseTensor


def as_rows(dataset, row_splits_dtype):
    """The dataset with components of open sizes as rows of ragged batches."""
    def row(leaf):
        if not isinstance(leaf, _tenon.Tensor) or leaf.shape.rank is None or leaf.shape.is_fully_defined():
            return leaf
        levels = max(axis for axis, size in enumerate(leaf.shape.as_list()) if size is None)
        spec = RaggedTensorSpec(leaf.shape, leaf.dtype, levels, row_splits_dtype)
        value = from_tensor(leaf, None, None, levels, row_splits_dtype) if levels else leaf
        return structure.Row(value, spec)

    if not any(isinstance(leaf, TensorSpec) and leaf.shape.rank is not None and not leaf.shape.is_fully_defined()
               for leaf in structure.tensor_leaves(dataset.element_spec)):
        return dataset
    single = type(dataset.element_spec) is not tuple
    return dataset.map(lambda *element: structure.map_leaves(row, element[0] if single else element))


def sparse_batch(dataset, batch_size, row_shape):
    """Batches of one dense vector, or of sparse tensors, whose rows get the shape `row_shape`."""
    from tenon.tf import arrays, sparse
    shape = arrays.shape_vector([-1 if d is None else d for d in row_shape], "int64")

    def widened(value):
        if not isinstance(value, SparseTensor):
            value = _all_of(value)
        wanted = raw_ops.SelectV2(condition=shape < 0, t=value.dense_shape, e=shape)
        return sparse.reset_shape(value, wanted)

    return dataset.map(widened).batch(batch_size)


def _all_of(tensor):
    """A sparse tensor of all elements of a vector, zeros too."""
    from tenon.tf import arrays
    flat = raw_ops.Reshape(tensor=tensor, shape=[-1])
    indices = raw_ops.Where(condition=raw_ops.Fill(dims=raw_ops.Shape(input=tensor), value=True))
    return SparseTensor(indices, flat, arrays.shape(tensor, "int64"))
