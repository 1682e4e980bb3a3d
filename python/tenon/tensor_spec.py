"""TensorSpec: what a tensor looks like, for functions that take any such tensor."""
from tenon import _tenon
from tenon.tensor_shape import TensorShape


class TypeSpec:
    """What a value looks like."""


class ShapedSpec(TypeSpec):
    """Of what has a shape and a dtype; subclasses set `_shape` and `_dtype`."""

    __slots__ = ()

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return self._dtype


class TensorSpec(ShapedSpec):
    """Shape, dtype and name. Immutable."""

    __slots__ = ("_shape", "_dtype", "_name")

    def __init__(self, shape, dtype=None, name=None):
        self._shape = TensorShape(shape)
        self._dtype = _tenon.as_dtype("float32" if dtype is None else dtype)
        self._name = name

    @classmethod
    def from_tensor(cls, tensor, name=None):
        return cls(tensor.shape, tensor.dtype, name)

    @classmethod
    def from_spec(cls, spec, name=None):
        return cls(spec.shape, spec.dtype, name or spec.name)

    @property
    def name(self):
        return self._name

    @property
    def value_type(self):
        return _tenon.Tensor

    def is_compatible_with(self, other):
        return self._dtype == other.dtype and self._shape.is_compatible_with(other.shape)

    def most_specific_common_supertype(self, others):
        shape = self._shape
        for other in others:
            if other.dtype != self._dtype:
                return None
            shape = shape.most_specific_compatible_shape(other.shape)
        return TensorSpec(shape, self._dtype, self._name)

    def __eq__(self, other):
        return (isinstance(other, TensorSpec) and self._shape == other._shape and self._dtype == other._dtype
                and self._name == other._name)

    def __hash__(self):
        return hash((self._shape, self._dtype))

    def __repr__(self):
        name = f"name={self._name!r}"
        return f"TensorSpec(shape={self._shape}, dtype={self._dtype!r}, {name})"

    def __reduce__(self):
        return TensorSpec, (self._shape, self._dtype, self._name)
