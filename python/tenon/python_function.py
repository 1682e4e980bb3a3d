"""tf.py_function and tf.numpy_function: Python's code within graphs.

In a graph such a function is an EagerPyFunc that knows it by a token, as in TensorFlow: it means something in this process
alone, and for as long as somebody holds the function that was traced around it. Outside of graphs the function is called.
"""
import itertools
import traceback
import weakref

from tenon import _tenon, errors, nest, raw_ops
from tenon.gradient_tape import GradientTape
from tenon.held import hold

_functions = weakref.WeakValueDictionary()  # by token
_numbers = itertools.count()

class _Callback:
    """What stands behind a token: takes a list of eager tensors and gives one."""

    def __init__(self, call):
        self.call = call
        self.token = f"pyfunc_{next(_numbers)}"
        _functions[self.token] = self


def _text_of(error):
    return "".join(traceback.format_exception(error)).rstrip()


def _as_error(error):
    """The exception of tenon.errors for what Python raised, as TensorFlow chooses it."""
    if isinstance(error, errors.OpError):
        return error
    for kinds, made in (((TypeError, ValueError), errors.InvalidArgumentError), (StopIteration, errors.OutOfRangeError),
                        (MemoryError, errors.ResourceExhaustedError), (NotImplementedError, errors.UnimplementedError)):
        if isinstance(error, kinds):
            return made(None, None, f"{type(error).__name__}: {error}\n{_text_of(error)}")
    return errors.UnknownError(None, None, f"{type(error).__name__}: {error}\n{_text_of(error)}")


def call(token, tensors):
    """What EagerPyFunc does."""
    callback = _functions.get(token)
    if callback is None:
        raise errors.InvalidArgumentError(None, None, f"callback {token} is not found: the function that was traced with it is "
                                          "gone, or this is another process")
    try:
        return callback.call(tensors)
    except Exception as error:
        raise _as_error(error) from error


def emit(function, inputs, dtypes, shapes=None):
    """`function` of the tensors `inputs`, in the graph that is being traced or at once: a list of tensors of these dtypes."""
    if not _tenon.tracing():
        try:
            return function(inputs)
        except Exception as error:
            raise _as_error(error) from error
    callback = _Callback(function)
    hold(callback)
    made = raw_ops.EagerPyFunc(input=inputs, token=callback.token, Tout=dtypes)
    made = list(made) if isinstance(made, (list, tuple)) else [] if made is None or not dtypes else [made]
    for tensor, shape in zip(made, shapes or ()):
        if shape is not None:
            tensor.set_shape(shape)
    return made


def _returned(value, count, name):
    """The results as a list; fewer or more of them than `count` are an error."""
    values = [] if value is None and not count else list(value) if isinstance(value, (list, tuple)) else [value]
    if len(values) != count:
        raise errors.InvalidArgumentError(None, None, f"{name} returns {len(values)} values, but expects to see {count} values.")
    return values


def _listed(Tout):
    single = not isinstance(Tout, (list, tuple))
    return [_tenon.as_dtype(getattr(t, "dtype", t)) for t in ([Tout] if single else Tout)], single


def _result(made, single):
    if not made:
        return None
    return made[0] if single else made


def numpy_function(func=None, inp=None, Tout=None, stateful=True, name=None):  # noqa: N803: TensorFlow's name
    """`func` of the tensors as NumPy's arrays; what it returns has the dtypes `Tout`. No gradient flows through it."""
    import numpy as np
    dtypes, single = _listed(Tout)
    title = getattr(func, "__name__", "pyfunc")

    def called(tensors):
        value = func(*(t.numpy() for t in tensors))
        values = _returned([value] if single else value, len(dtypes), title)
        results = []
        for i, (value, dtype) in enumerate(zip(values, dtypes)):
            value = value.numpy() if isinstance(value, _tenon.Tensor) else np.asarray(value)
            tensor = _tenon.convert(value)
            if tensor.dtype != dtype:
                raise errors.InvalidArgumentError(None, None, f"{i}-th value returned by {title} is {tensor.dtype.name}, but "
                                                  f"expects {dtype.name}")
            results.append(tensor)
        return results

    tapes = _tenon.stop_recording()
    try:
        return _result(emit(called, [_tenon.convert(x) for x in inp], dtypes), single)
    finally:
        _tenon.resume_recording(tapes)


def py_function(func=None, inp=None, Tout=None, name=None):  # noqa: N803: TensorFlow's name
    """`func` of the tensors, run eagerly; what it returns is converted to `Tout`. Gradients flow through it: in a graph they
    are taken by calling it once more."""
    dtypes, single = _listed(Tout)
    title = getattr(func, "__name__", "pyfunc")

    def called(tensors):
        value = func(*tensors)
        values = [value] if single else list(value) if isinstance(value, (list, tuple)) else [value]
        # What there is more than of dtypes is left out, as in TensorFlow.
        values = _returned(values[:len(dtypes)], len(dtypes), title)
        return [_tenon.convert(value, dtype) if not isinstance(value, _tenon.VariableBase) else value.read_value()
                for value, dtype in zip(values, dtypes)]

    inputs = [_tenon.convert(x) for x in nest.flatten(inp)]
    if not _tenon.tracing():
        return _result(emit(called, inputs, dtypes), single)
    return _result(_with_gradient(called, inputs, dtypes), single)


def _with_gradient(called, inputs, dtypes):
    wanted = [i for i, x in enumerate(inputs) if x.dtype.is_floating or x.dtype.is_complex]

    def gradient(tensors):
        given, dys = tensors[:len(inputs)], tensors[len(inputs):]
        with GradientTape() as tape:
            for i in wanted:
                tape.watch(given[i])
            results = called(given)
        flat = tape.gradient(results, [given[i] for i in wanted], dys)
        return [raw_ops.ZerosLike(x=given[i]) if g is None else g for i, g in zip(wanted, flat)]

    def backward(dys):
        dxs = iter(emit(gradient, inputs + list(dys), [inputs[i].dtype for i in wanted], [inputs[i].shape for i in wanted]))
        return [next(dxs) if i in wanted else None for i in range(len(inputs))]

    tapes = _tenon.stop_recording()
    try:
        made = emit(called, inputs, dtypes)
    finally:
        _tenon.resume_recording(tapes)
    if made and wanted:
        _tenon.record_custom(backward, inputs, made)
    return made
