"""What Tensor does in Python: indexing, iteration, printing."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import broadcast
from tenon.variable import Reference

_BAD_INDEX = ("Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar tf.int32/tf.int64 tensors are "
              "valid indices, got {!r}")


def _is_index(value):
    if isinstance(value, bool):
        return False
    if isinstance(value, (_tenon.Tensor, _tenon.VariableBase)):
        return value.dtype.is_integer and value.shape.rank in (0, None)
    return hasattr(value, "__index__")


def is_mask(value):
    return isinstance(value, (_tenon.Tensor, _tenon.VariableBase)) and value.dtype.is_bool


def getitem(tensor, key):
    """NumPy's basic indexing as StridedSlice; a mask of booleans alone selects rows."""
    if is_mask(key):
        return boolean_mask(tensor, key)
    part = raw_ops.StridedSlice(input=tensor, **strided_slice(key))
    partly = getattr(tensor, "partly_known", None)
    if partly is not None and not isinstance(key, (tuple, list)):
        _know(part, partly, key)
    return part


def strided_slice(key):
    """The inputs and attributes of the ops that slice, for an index that is no mask."""
    keys = key if isinstance(key, tuple) else tuple(key) if isinstance(key, list) else (key,)
    begin, end, strides = [], [], []
    masks = dict.fromkeys(("begin", "end", "ellipsis", "new_axis", "shrink_axis"), 0)
    for i, part in enumerate(keys):
        bit = 1 << i
        if part is Ellipsis:
            if masks["ellipsis"]:
                raise ValueError("an index can only have a single ellipsis ('...')")
            masks["ellipsis"] |= bit
            bounds = (0, 0, 1)
        elif part is None:
            masks["new_axis"] |= bit
            bounds = (0, 0, 1)
        elif isinstance(part, slice):
            for bound in (part.start, part.stop, part.step):
                if bound is not None and not _is_index(bound):
                    raise TypeError(_BAD_INDEX.format(bound))
            masks["begin"] |= bit if part.start is None else 0
            masks["end"] |= bit if part.stop is None else 0
            bounds = (0 if part.start is None else part.start, 0 if part.stop is None else part.stop,
                      1 if part.step is None else part.step)
        elif _is_index(part):
            masks["shrink_axis"] |= bit
            bounds = (part, part + 1, 1)
        else:
            raise TypeError(_BAD_INDEX.format(part))
        for target, bound in zip((begin, end, strides), bounds):
            target.append(bound)
    begin, end, strides = _index_vectors(begin, end, strides)
    return {"begin": begin, "end": end, "strides": strides, **{f"{name}_mask": mask for name, mask in masks.items()}}


def _know(part, partly, key):
    """What is known of a part of numbers of which some are known (arrays.known_in_part)."""
    if isinstance(key, slice):
        if all(bound is None or isinstance(bound, int) for bound in (key.start, key.stop, key.step)):
            part.partly_known = partly[key]
    elif isinstance(key, int) and partly[key] is not None:
        part.partly_known = partly[key]


def _index_vectors(*vectors):
    """Vectors of one dtype: that of the tensors among the numbers, or what holds the largest."""
    tensors = (_tenon.Tensor, _tenon.VariableBase)
    given = [part for vector in vectors for part in vector if isinstance(part, tensors)]
    if given:
        dtype = "int64" if any(part.dtype == "int64" for part in given) else "int32"
    else:
        vectors = [[int(part) for part in vector] for vector in vectors]
        dtype = "int32" if all(-2 ** 31 <= part < 2 ** 31 for vector in vectors for part in vector) else "int64"
    return [_index_vector(vector, dtype, tensors) for vector in vectors]


def _index_vector(parts, dtype, tensors):
    if any(isinstance(part, tensors) for part in parts):
        parts = [_tenon.convert(part, None if isinstance(part, tensors) else dtype) for part in parts]
        return raw_ops.Pack(values=[part if part.dtype == dtype else raw_ops.Cast(x=part, DstT=dtype) for part in parts])
    return _tenon.convert([int(part) for part in parts], dtype)


def boolean_mask(tensor, mask):
    """The elements where `mask`, which covers the leading dimensions, is true."""
    mask = _tenon.convert(mask)
    rank = mask.shape.rank
    if not rank:
        raise ValueError("mask cannot be scalar.")
    tensor.shape[:rank].assert_is_compatible_with(mask.shape)
    return raw_ops.GatherNd(params=tensor, indices=raw_ops.Where(condition=mask))


def iterate(tensor):
    if tensor.is_symbolic:
        shape = tensor.shape
        if shape.rank is None or (shape.rank and shape[0] is None):
            from tenon.errors import OperatorNotAllowedInGraphError
            raise OperatorNotAllowedInGraphError(
                "Iterating over a symbolic `tf.Tensor` is not allowed: its first dimension is not known while a function "
                "is traced. Use tf.map_fn or tf.while_loop.")
    if tensor.shape.rank == 0:
        raise TypeError("Cannot iterate over a scalar tensor.")
    return iter(raw_ops.Unpack(value=tensor, num=tensor.shape[0], axis=0))


def _text(tensor, text):
    """Arrays as `text` has them, single numbers without their dtype."""
    if not tensor.dtype.is_numpy_compatible:
        return f"<{tensor.dtype.name}>"
    value = tensor.numpy()
    if not getattr(value, "ndim", 1):
        value = value.item() if text is repr else value
        text = str
    shown = text(value)
    return ("\n" if "\n" in shown else "") + shown


def _repr(tensor):
    if tensor.is_symbolic:
        return f"<tf.Tensor shape={tensor.shape} dtype={tensor.dtype.name}>"
    return f"<tf.Tensor: shape={tensor.shape}, dtype={tensor.dtype.name}, numpy={_text(tensor, repr)}>"


def _str(tensor):
    if tensor.is_symbolic:
        return f"Tensor(shape={tensor.shape}, dtype={tensor.dtype.name})"
    return f"tf.Tensor({_text(tensor, str)}, shape={tensor.shape}, dtype={tensor.dtype.name})"


def _format(tensor, spec):
    return _str(tensor) if not spec else tensor.numpy().__format__(spec)


def _set_shape(tensor, shape):
    _tenon.set_shape(tensor, shape)


def _reduce(tensor):
    return _restore, (tensor.numpy(), tensor.dtype)


def _restore(value, dtype):
    return _tenon.convert(value, dtype)


def _dtype(name):
    return _tenon.as_dtype(name)


def _limit(dtype, which):
    """The least or the largest finite number of a dtype, as Python's."""
    import numpy as np
    kind = dtype.as_numpy_dtype
    if dtype.is_bool:
        return which == "max"
    if dtype.is_integer:
        return int(getattr(np.iinfo(kind), which))
    try:
        return float(getattr(np.finfo(kind), which))
    except ValueError:
        import ml_dtypes
        return float(getattr(ml_dtypes.finfo(kind), which))


def _comparison(compare):
    """== or !=, which give one False or True where shapes do not fit; while a function is traced they are taken to."""
    def of_elements(tensor, other):
        result = compare(tensor, other)
        if isinstance(other, (_tenon.Tensor, _tenon.VariableBase)) and result.is_symbolic and result.shape.rank is None:
            shape = broadcast(tensor.shape, other.shape)
            if shape is not None:
                result.set_shape(shape)
        return result

    of_elements.__name__ = of_elements.__qualname__ = compare.__name__
    return of_elements


def _install():
    members = {"__getitem__": getitem, "__iter__": iterate, "__repr__": _repr, "__str__": _str, "__format__": _format,
               "set_shape": _set_shape, "get_shape": lambda self: self.shape, "ref": lambda self: Reference(self), "__reduce__": _reduce,
               "__copy__": lambda self: self, "__deepcopy__": lambda self, memo: self}
    members.update((name, _comparison(getattr(_tenon.Tensor, name))) for name in ("__eq__", "__ne__"))
    for name, member in members.items():
        setattr(_tenon.Tensor, name, member)
    _tenon.DType.min = property(lambda self: _limit(self, "min"))
    _tenon.DType.max = property(lambda self: _limit(self, "max"))
    _tenon.DType.is_numeric = property(lambda self: self.is_floating or self.is_integer or self.is_complex)
    _tenon.DType.__reduce__ = lambda self: (_dtype, (self.name,))


_install()
