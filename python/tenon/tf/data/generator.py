"""Python generators as sources."""
from tenon import _tenon, errors, nest
from tenon.composite import CompositeSpec
from tenon.tf.data import structure


def starter(generator, spec):
    """What starts a pass: a function of tensors that yields the tensors of each element."""
    leaves = structure.tensor_leaves(spec)

    def start(*args):
        for value in generator(*[arg.numpy() for arg in args]):
            yield [_tensor(part, leaf) for part, leaf in zip(_parts(value, spec), leaves)]

    return start


def _parts(value, spec):
    """The leaves of `value`, which has the structure of `spec`."""
    if isinstance(spec, dict):
        if isinstance(value, dict) and set(value) == set(spec):
            return [part for key in nest._keys(spec) for part in _parts(value[key], spec[key])]
    elif isinstance(spec, tuple):
        if isinstance(value, (tuple, list)) and len(value) == len(spec):
            return [part for each, below in zip(value, spec) for part in _parts(each, below)]
    else:
        return [value]
    raise errors.InvalidArgumentError(
        None, None, "TypeError: `generator` yielded an element that did not match the expected structure. The expected "
        f"structure was {structure.map_leaves(lambda leaf: leaf.dtype, spec)}, but the yielded element was {value}.")


def _tensor(value, spec):
    if isinstance(spec, CompositeSpec):
        if not spec.is_compatible_with(value):
            raise errors.InvalidArgumentError(None, None, "TypeError: `generator` yielded an element that did not match the "
                                              f"expected structure. Expected {spec}, but the yielded element was {value}.")
        return spec._encode(value)
    try:
        tensor = _tenon.convert(value, spec.dtype)
    except (TypeError, ValueError) as error:
        raise errors.InvalidArgumentError(
            None, None, "TypeError: `generator` yielded an element that could not be converted to the expected type. The "
            f"expected type was {spec.dtype.name}, but the yielded element was {value}.") from error
    if not spec.shape.is_compatible_with(tensor.shape):
        raise errors.InvalidArgumentError(
            None, None, f"TypeError: `generator` yielded an element of shape {tensor.shape} where an element of shape "
            f"{spec.shape} was expected.")
    return tensor
