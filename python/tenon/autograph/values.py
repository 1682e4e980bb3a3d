"""What converted code keeps in its variables: tensors, Python's values, nothing."""
from tenon import _tenon, nest


class _Nothing:
    """In the place of a value."""

    def __init__(self, text):
        self._text = text

    def __repr__(self):
        return self._text

    def __bool__(self):
        return False


undefined = _Nothing("<a variable without a value>")
no_value = _Nothing("<no return statement was reached>")
_NOT_BOUND = (NameError, AttributeError, LookupError)
_NUMBERS = (bool, int, float, complex, str, bytes)


def defined(read):
    return _read(read) is not undefined


def _read(read):
    try:
        return read()
    except _NOT_BOUND:
        return undefined


class State:
    """The variables that a branch or a loop changes: read and written together."""

    def __init__(self, names, reads, write, outputs):
        """`outputs`: how many of them, the first ones, are read after it."""
        self.returned = names.index("ag__returned") if "ag__returned" in names else None
        shown = {"ag__value": "retval_", "ag__returned": "do_return"}
        self.names = [shown.get(name, name) for name in names]
        self._reads, self._write, self.outputs = reads, write, outputs

    def get(self):
        return [_read(read) for read in self._reads]

    def set(self, values):
        self._write(values)


class _Stateless:
    names, outputs, returned = [], 0, None

    def get(self):
        return []

    def set(self, values):
        pass


STATELESS = _Stateless()


def is_traced(value):
    """Whether the value is only known when the graph runs."""
    return (isinstance(value, _tenon.Tensor) and value.is_symbolic
            or isinstance(value, _tenon.VariableBase) and _tenon.tracing())


def is_tensor(value):
    return isinstance(value, (_tenon.Tensor, _tenon.VariableBase))


def is_array(value):
    """Whether it is a TensorArray, which is a tensor to the graph."""
    return hasattr(type(value), "with_flow")


def is_dataset(value):
    """Whether a graph can read it: a dataset, or an iterator of one."""
    return hasattr(type(value), "_in_graph")


def is_like_tensor(value):
    """Whether a tensor can stand for the value."""
    return is_tensor(value) or isinstance(value, _NUMBERS) or hasattr(value, "__array__") or is_array(value)


def lowered(value):
    """The tensor that the graph has for a value."""
    return value.flow if is_array(value) else _tenon.convert(value)


def lifted(like, tensor, shape=None):
    """What `lowered` was applied to, with another tensor; `shape`: of an array's elements."""
    return like.with_flow(tensor, shape) if is_array(like) else tensor


def is_nothing(value):
    return value is None or value is undefined or value is no_value


def condition(value, what):
    """A scalar of bool."""
    value = _tenon.convert(value)
    hint = "to check for None, use `is not None`"
    if not value.dtype.is_bool:
        raise ValueError(f"condition of {what} expected to be `tf.bool` scalar, got {value}; to use as boolean Tensor, use "
                         f"`tf.cast`; {hint}")
    if value.shape.rank == 0:
        return value
    if value.shape.rank is not None and any(d not in (1, None) for d in value.shape.as_list()):
        raise ValueError(f"condition of {what} expected to be `tf.bool` scalar, got {value}; {hint}")
    from tenon.tf import arrays
    return arrays.reshape(value, [])


def placeholder(like):
    """Zeros like a value, of no elements along unknown dimensions; None for what has no zero."""
    from tenon.tf import arrays

    def zero(leaf):
        if is_nothing(leaf):
            return leaf
        if not is_like_tensor(leaf) or is_array(leaf):
            raise TypeError(f"Found an unsupported type '{type(leaf).__name__}' while creating placeholder for {leaf}. "
                            "Supported types include Tensor, int, float, bool, list, tuple or dict.")
        tensor = leaf if is_tensor(leaf) else _tenon.convert(leaf)
        shape = [] if tensor.shape.rank is None else [0 if d is None else d for d in tensor.shape.as_list()]
        return arrays.zeros(shape, tensor.dtype)

    return nest.map_structure(zero, like)
