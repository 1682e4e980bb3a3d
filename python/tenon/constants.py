"""Tensors from Python values: constant, convert_to_tensor."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape


class TensorLike:
    """A base of classes whose objects stand for tensors: they give one by __tf_tensor__()."""


def constant(value, dtype=None, shape=None, name="Const"):
    """A tensor of `value`, of one element alone where `shape` asks for more."""
    tensor = _tenon.placed(_tenon.convert(value, dtype))
    if shape is None:
        return tensor
    shape = TensorShape(shape)
    if tensor.shape == shape:
        return tensor
    count = tensor.shape.num_elements()
    if count == shape.num_elements():
        return raw_ops.Reshape(tensor=tensor, shape=shape.as_list())
    if count == 1:
        scalar = raw_ops.Reshape(tensor=tensor, shape=convert_to_tensor([], "int32"))
        return raw_ops.Fill(dims=convert_to_tensor(shape.as_list(), "int32"), value=scalar)
    raise TypeError(f"Eager execution of tf.constant with unsupported shape. Tensor {tensor} (converted from {value}) "
                    f"has {count} elements, but got `shape` {shape} with {shape.num_elements()} elements).")


def convert_to_tensor(value, dtype=None, dtype_hint=None, name=None):
    """A tensor of `value`; of `dtype_hint` where that can be and no `dtype` is asked for."""
    if dtype is None and dtype_hint is not None:
        return _tenon.placed(_tenon.convert(value, dtype_hint, hint=True))
    return _tenon.placed(_tenon.convert(value, dtype))


def from_dlpack(value):
    """A tensor with a copy of what an object with __dlpack__ holds."""
    return _tenon.from_dlpack(value)


def is_tensor(value):
    return isinstance(value, (_tenon.Tensor, _tenon.VariableBase, TensorLike))
