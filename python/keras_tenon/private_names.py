"""Names that Keras' backend for TensorFlow takes from TensorFlow's insides."""
import types

from tenon import _tenon, raw_ops
from tenon.tf.elementwise import is_nan  # noqa: F401
from tenon.tf.missing import unsupported


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
sparse_csr_matrix_ops = unsupported("sparse_csr_matrix_ops", "Sparse tensors")


def __getattr__(name):
    from keras_tenon.hook import _version
    raise AttributeError(f"Keras {_version()} takes '{name}' from TensorFlow's insides, which Tenon does not know.")
