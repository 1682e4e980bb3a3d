"""Values of several tensors: what functions, datasets and tf.nest take apart and put together again."""
from tenon.constants import TensorLike
from tenon.tensor_spec import ShapedSpec, TensorSpec


class NotATensor(TypeError, ValueError):
    """A value of several tensors stands where a tensor has to."""


class Composite:
    """A value that is made of tensors. Subclasses have `_type_spec` and `_components`, the tensors in its order."""

    def _parts(self):
        return self._components

    def _packed(self, parts):
        return self._type_spec._packed(parts)

    @property
    def is_symbolic(self):
        return any(part.is_symbolic for part in self._components)


class CompositeTensor(Composite, TensorLike):
    """A tensor that is made of several."""

    __array_ufunc__ = None  # operators of arrays and of tensors leave what is to be done to it

    def __tf_tensor__(self, dtype=None, name=None):
        raise NotATensor(f"Failed to convert a {type(self).__name__} to Tensor: it is made of several. Consider to_tensor(), "
                         "or tf.sparse.to_dense().")


class CompositeSpec(ShapedSpec):
    """What a composite tensor looks like. Subclasses have `_component_specs`, a list of TensorSpecs; `_from_tensors`, which
    makes the value of as many tensors; `_from_specs`, which makes a spec of its kind of other such specs; `_kind`, which is
    equal for specs whose values are made of tensors in the same way; and for elements of datasets `_encode` and `_decode`,
    to one tensor of `_encoded_dtype` and back."""

    def _parts(self):
        return self._component_specs

    def _packed(self, parts):
        parts = list(parts)
        if any(isinstance(part, TensorSpec) for part in parts):
            return self._from_specs(parts)
        return self._from_tensors(parts)

    def _kind_and_parts(self):
        return self._kind, [(spec.dtype, spec.shape) for spec in self._component_specs]

    @property
    def _type_spec(self):
        return self

    def __eq__(self, other):
        return type(other) is type(self) and self._kind_and_parts() == other._kind_and_parts() and self.shape == other.shape

    def __hash__(self):
        return hash(self._kind)

    def is_compatible_with(self, other):
        """Whether a value or a spec is of this kind."""
        other = getattr(other, "_type_spec", other)
        return (type(other) is type(self) and self._kind == other._kind and self.dtype == other.dtype
                and self.shape.is_compatible_with(other.shape))

    def most_specific_common_supertype(self, others):
        shape = self.shape
        for other in others:
            if type(other) is not type(self) or other._kind != self._kind or other.dtype != self.dtype:
                return None
            shape = shape.most_specific_compatible_shape(other.shape)
        return self._with_shape(shape)


def is_composite(value):
    return isinstance(value, (Composite, CompositeSpec))
