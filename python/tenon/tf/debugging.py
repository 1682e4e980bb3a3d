"""tf.debugging: checks of values, which fail where and when they run, and checks of what is known at once."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, missing, reductions


def Assert(condition, data, summarize=None, name=None):  # noqa: N802: TensorFlow's name
    """InvalidArgumentError with the tensors `data` where `condition` is false."""
    return raw_ops.Assert(condition=condition, data=[_tenon.convert(x) for x in data], summarize=summarize or 3)


def _pair(name, sign, compare):
    def check(x, y, message=None, summarize=None, name=None):
        x = _tenon.convert(x)
        y = _tenon.convert(y, None if hasattr(y, "dtype") else x.dtype)
        return Assert(reductions.reduce_all(compare(x, y)), [message or f"Condition x {sign} y did not hold.", x, y], summarize)

    check.__name__ = check.__qualname__ = name
    return check


_PAIRS = {name: _pair(name, sign, compare) for name, sign, compare in (
    ("assert_equal", "==", elementwise.equal), ("assert_none_equal", "!=", elementwise.not_equal),
    ("assert_greater", ">", elementwise.greater), ("assert_greater_equal", ">=", elementwise.greater_equal),
    ("assert_less", "<", elementwise.less), ("assert_less_equal", "<=", elementwise.less_equal))}


def _sign_of(name, sign, compare):
    def check(x, message=None, summarize=None, name=None):
        x = _tenon.convert(x)
        message = message or f"Condition x {sign} 0 did not hold element-wise:"
        return Assert(reductions.reduce_all(compare(x, _tenon.convert(0, x.dtype))), [message, x], summarize)

    check.__name__ = check.__qualname__ = name
    return check


_SIGNS = {name: _sign_of(name, sign, compare) for name, sign, compare in (
    ("assert_positive", ">", elementwise.greater), ("assert_negative", "<", elementwise.less),
    ("assert_non_negative", ">=", elementwise.greater_equal), ("assert_non_positive", "<=", elementwise.less_equal))}


def assert_near(x, y, rtol=None, atol=None, message=None, summarize=None, name=None):
    """That |x - y| <= atol + rtol * |y|; without them ten times the smallest step of the dtype at 1."""
    import numpy as np
    x = _tenon.convert(x)
    y = _tenon.convert(y, None if hasattr(y, "dtype") else x.dtype)
    step = 10 * float(np.finfo(x.dtype.real_dtype.as_numpy_dtype).eps)
    real = x.dtype.real_dtype
    rtol, atol = (_tenon.convert(step if v is None else v, real) for v in (rtol, atol))
    near = abs(x - y) <= atol + rtol * abs(y)
    return Assert(reductions.reduce_all(near), [message or "x and y not equal to tolerance", x, y], summarize)


def check_numerics(tensor, message, name=None):
    return raw_ops.CheckNumerics(tensor=tensor, message=message)


def assert_all_finite(x, message, name=None):
    return check_numerics(x, message)


def _about(message):
    return f"{message}. " if message else ""


def _ranked(x, fits, wanted, message):
    """That the rank of `x` fits: at once where it is known, otherwise when the graph runs."""
    x = _tenon.convert(x)
    if x.shape.rank is None:
        return Assert(fits(arrays.rank(x)), [f"{_about(message)}Tensor must have rank {wanted}.", arrays.shape(x)])
    if not fits(x.shape.rank):
        raise ValueError(f"{_about(message)}Tensor  must have rank {wanted}.  Received rank {x.shape.rank}, shape {x.shape}")
    return None


def assert_rank(x, rank, message=None, name=None):
    return _ranked(x, lambda found: found == rank, rank, message)


def assert_rank_at_least(x, rank, message=None, name=None):
    return _ranked(x, lambda found: found >= rank, f"at least {rank}", message)


def assert_rank_in(x, ranks, message=None, name=None):
    def fits(found):
        if isinstance(found, int):
            return found in ranks
        return reductions.reduce_any(elementwise.equal(found, _tenon.convert(list(ranks), "int32")))
    return _ranked(x, fits, f"in {tuple(ranks)}", message)


def assert_scalar(tensor, message=None, name=None):
    tensor = _tenon.convert(tensor)
    if tensor.shape.rank != 0:
        raise ValueError(f"{_about(message)}Expected scalar shape, saw shape: {tensor.shape}.")


def assert_type(tensor, tf_type, message=None, name=None):
    wanted, found = _tenon.as_dtype(tf_type), _tenon.convert(tensor).dtype
    if found != wanted:
        raise TypeError(f"{_about(message)}tensor must be of type {wanted!r}; got {found!r}")


def assert_integer(x, message=None, name=None):
    dtype = _tenon.convert(x).dtype
    if not dtype.is_integer:
        raise TypeError(f'{_about(message)}Expected "x" to be integer type.  Found: tensor of dtype {dtype}')


def assert_same_float_dtype(tensors=None, dtype=None):
    """The dtype of the tensors, which is one, and a floating one; float32 where there are none."""
    wanted = None if dtype is None else _tenon.as_dtype(dtype)
    for tensor in tensors or ():
        found = _tenon.convert(tensor).dtype
        wanted = found if wanted is None else wanted
        if found != wanted:
            raise ValueError(f"{tensor}, type={found}, must be of the same type ({wanted}).")
    wanted = _tenon.as_dtype("float32") if wanted is None else wanted
    if not wanted.is_floating:
        raise ValueError(f"Expected floating point type, got {wanted}.")
    return wanted


def assert_proper_iterable(values):
    """That `values` can be gone through and is no tensor, array or text."""
    import numpy as np
    if isinstance(values, (_tenon.Tensor, _tenon.VariableBase, np.ndarray, bytes, str)) or not hasattr(values, "__iter__"):
        raise TypeError(f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}')


def assert_shapes(shapes, data=None, summarize=None, message=None, name=None):
    """That tensors have the sizes that are said of them, one size for each letter; None and "." are any."""
    sizes = {}
    for tensor, wanted in (shapes.items() if isinstance(shapes, dict) else shapes):
        tensor = _tenon.convert(tensor)
        wanted = list(wanted) if isinstance(wanted, (list, tuple, str)) else [wanted]
        shape = tensor.shape.as_list() if tensor.shape.rank is not None else None
        if wanted and wanted[0] in ("...", Ellipsis):
            wanted = wanted[1:]
            shape = shape and shape[len(shape) - len(wanted):]
        if shape is None:
            continue
        if len(shape) != len(wanted):
            raise ValueError(f"{_about(message)}Tensor  must have rank {len(wanted)}.  Received rank {len(shape)}, "
                             f"shape {tensor.shape}")
        _check_sizes(tensor, shape, wanted, sizes, message)


def _check_sizes(tensor, shape, wanted, sizes, message):
    for dimension, (size, symbol) in enumerate(zip(shape, wanted)):
        if symbol in (None, ".") or size is None:
            continue
        if not isinstance(symbol, str):
            expected, origin = int(symbol), "Specified explicitly"
        else:
            expected, origin = sizes.setdefault(symbol, (size, f"Specified by tensor {tensor.shape} dimension {dimension}"))
        if size != expected:
            raise ValueError(f"{_about(message)}{origin}.  Tensor shape={tensor.shape} dtype={tensor.dtype.name} dimension "
                             f"{dimension} must have size {expected}.  Received size {size}")


class _State:
    filtering = True
    placement = False


def _set_filtering(on):
    def function():
        """Kept, and changes nothing: tracebacks are short in any case."""
        _State.filtering = on
    return function


def is_traceback_filtering_enabled():
    return _State.filtering


def enable_check_numerics(stack_height_limit=30, path_length_limit=50):
    raise NotImplementedError("Tenon has no checks of all numbers: put tf.debugging.check_numerics where they matter.")


def disable_check_numerics():
    """They are never on."""


def set_log_device_placement(enabled):
    """Kept, and changes nothing: `tenon.Tensor.device` says where a value is."""
    _State.placement = bool(enabled)


def get_log_device_placement():
    return _State.placement


def is_numeric_tensor(tensor):
    return isinstance(tensor, (_tenon.Tensor, _tenon.VariableBase)) and tensor.dtype.is_numeric


debugging = missing.namespace(
    "tf.debugging", _PAIRS, _SIGNS, {f.__name__: f for f in (
        Assert, assert_near, check_numerics, assert_all_finite, assert_rank, assert_rank_at_least, assert_rank_in,
        assert_scalar, assert_type, assert_integer, assert_same_float_dtype, assert_proper_iterable, assert_shapes,
        is_traceback_filtering_enabled, enable_check_numerics, disable_check_numerics, set_log_device_placement,
        get_log_device_placement, is_numeric_tensor)},
    enable_traceback_filtering=_set_filtering(True), disable_traceback_filtering=_set_filtering(False))
