"""The shapes and values to which padded_batch fills elements up."""
from tenon import _tenon, nest
from tenon.composite import CompositeSpec
from tenon.tensor_shape import TensorShape
from tenon.tf.data import structure


def padding_of(spec, padded_shapes, padding_values):
    """(shapes, values) of the tensors of an element; a value is None for zeros."""
    leaves = structure.tensor_leaves(spec)
    for leaf in leaves:
        if isinstance(leaf, CompositeSpec):
            raise TypeError(f"`padded_batch` is not supported for datasets that produce values of type {leaf.value_type}.")
    if padded_shapes is None:
        shapes = [leaf.shape for leaf in leaves]
        if any(shape.rank is None for shape in shapes):
            raise ValueError("You must provide `padded_shapes` argument because component has unknown rank.")
    else:
        shapes = [_shape(given, leaf) for given, leaf in zip(_at_leaves(padded_shapes, spec), leaves)]
    if padding_values is None:
        return shapes, [None] * len(leaves)
    values = _at_leaves(padding_values, spec) if nest.is_nested(padding_values) else [padding_values] * len(leaves)
    return shapes, [None if value is None else _value(value, leaf) for value, leaf in zip(values, leaves)]


def _at_leaves(given, spec):
    """What `given` has at the places of the leaves of `spec`: it may be a list or a tuple there."""
    if isinstance(spec, dict):
        return [part for key in nest._keys(spec) for part in _at_leaves(given[key], spec[key])]
    if isinstance(spec, tuple):
        if not isinstance(given, (tuple, list)) or len(given) != len(spec):
            raise TypeError(f"padding {given} does not have the structure of the elements, {spec}.")
        return [part for each, below in zip(given, spec) for part in _at_leaves(each, below)]
    return [] if isinstance(spec, structure.NoneTensorSpec) else [given]


def _shape(given, leaf):
    if isinstance(given, _tenon.Tensor):
        given = given.numpy().tolist()
    if not isinstance(given, TensorShape):
        given = TensorShape([None if n in (None, -1) else n for n in given])
    if leaf.shape.rank is not None and leaf.shape.rank != given.rank:
        raise ValueError(f"The padded shape {given} and the shape {leaf.shape} of the elements have different ranks.")
    for have, most in zip(leaf.shape if leaf.shape.rank is not None else (), given):
        if have is not None and most is not None and have > most:
            raise ValueError(f"The padded shape {given} is not compatible with the corresponding input component shape "
                             f"{leaf.shape}.")
    return given


def _value(value, leaf):
    value = value if isinstance(value, _tenon.Tensor) else structure.constant(value, leaf.dtype)
    if value.dtype != leaf.dtype or value.shape.rank != 0:
        raise TypeError(f"Mismatched type for padding value: it is {value.dtype.name} of shape {value.shape}, expected is "
                        f"a scalar of {leaf.dtype.name}.")
    return value
