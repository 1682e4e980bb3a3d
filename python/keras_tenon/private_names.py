"""Names that Keras' backend for TensorFlow takes from TensorFlow's insides."""
import types

from tenon import _tenon, raw_ops
from tenon.tf.elementwise import is_nan  # noqa: F401
from tenon.tf.missing import unsupported
from tenon.tf.sparse_tensor import SparseTensor


def dynamic_update_slice(x, update, indices):
    """`x` with `update` written at `indices`, which are moved so that it fits."""
    x = _tenon.convert(x)
    if isinstance(indices, (list, tuple)):
        indices = [_tenon.convert(i) for i in indices]
        wide = "int64" if any(i.dtype == "int64" for i in indices) else "int32"
        indices = raw_ops.Pack(values=[i if i.dtype == wide else raw_ops.Cast(x=i, DstT=wide) for i in indices])
    return raw_ops.XlaDynamicUpdateSlice(input=x, update=_tenon.convert(update), indices=indices)


def _nothing_waits():
    """Ops have run when they return."""


from tenon.tf.summary_messages import SummaryMetadata  # noqa: E402,F401

context = types.SimpleNamespace(async_wait=_nothing_waits)
dtensor = unsupported("tf.experimental.dtensor", "DTensor")


def _product(a, b, dtype):
    """The product of sparse matrices, which is a dense one for a while."""
    from tenon.tf import sparse
    return sparse.from_dense(raw_ops.BatchMatMulV2(x=sparse.to_dense(a), y=sparse.to_dense(b)))


# To Keras these are steps to a product and back: sparse tensors all the way.
sparse_csr_matrix_ops = types.SimpleNamespace(
    sparse_tensor_to_csr_sparse_matrix=lambda indices, values, dense_shape: SparseTensor(indices, values, dense_shape),
    sparse_matrix_sparse_mat_mul=_product, csr_sparse_matrix_to_sparse_tensor=lambda matrix, dtype: matrix)


def __getattr__(name):
    from keras_tenon.hook import _version
    raise AttributeError(f"Keras {_version()} takes '{name}' from TensorFlow's insides, which Tenon does not know.")
