"""tf.py_function and tf.numpy_function: Python's code within graphs.

In a graph such a function is an EagerPyFunc that knows it by a token, as in TensorFlow: it means something in this process
alone, and for as long as somebody holds the function that was traced around it. Outside of graphs the function is called.
"""
import itertools
import traceback
import weakref

from tenon import _tenon, errors, nest, raw_ops
from tenon.autograph.experimental import do_not_convert
from tenon.composite import CompositeSpec, is_composite
from tenon.custom_gradient import with_gradient
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


def _as_error(error):
    """The exception of tenon.errors for what Python raised, as TensorFlow chooses it."""
    text = "".join(traceback.format_exception(error)).rstrip()
    for kinds, made in (((TypeError, ValueError), errors.InvalidArgumentError), (StopIteration, errors.OutOfRangeError),
                        (MemoryError, errors.ResourceExhaustedError), (NotImplementedError, errors.UnimplementedError)):
        if isinstance(error, kinds) and not isinstance(error, errors.OpError):
            return made(None, None, f"{type(error).__name__}: {error}\n{text}")
    return errors.UnknownError(None, None, f"{type(error).__name__}: {error}\n{text}")


def call(token, tensors):
    """What EagerPyFunc does."""
    callback = _functions.get(token)
    if callback is None:
        raise errors.InvalidArgumentError(None, None, f"callback {token} is not found: the function that was traced with it is "
                                          "gone, or this is another process")
    try:
        return callback.call(tensors)
    except errors.OpError:
        raise
    except Exception as error:
        raise _as_error(error) from error


def emit(function, inputs, dtypes, shapes=None):
    """`function` of the tensors `inputs`, in the graph that is being traced or at once: a list of tensors of these dtypes."""
    if not _tenon.tracing():
        return function(inputs)
    callback = _Callback(function)
    hold(callback)
    made = raw_ops.EagerPyFunc(input=inputs, token=callback.token, Tout=dtypes)
    made = list(made) if isinstance(made, (list, tuple)) else [] if made is None or not dtypes else [made]
    for tensor, shape in zip(made, shapes or ()):
        if shape is not None:
            tensor.set_shape(shape)
    return made


def _result_of(func, args):
    """What a user's function gives; whatever it raises has TensorFlow's class."""
    try:
        return func(*args)
    except Exception as error:
        raise _as_error(error) from error


def _returned(value, count, name):
    """The results as a list; fewer or more of them than `count` are an error."""
    values = [] if value is None and not count else list(value) if isinstance(value, (list, tuple)) else [value]
    if len(values) != count:
        raise errors.InvalidArgumentError(None, None, f"{name} returns {len(values)} values, but expects to see {count} values.")
    return values


def _listed(Tout):
    """What results are: dtypes, and specs of what is made of several tensors."""
    single = not isinstance(Tout, (list, tuple))
    kinds = [t if isinstance(t, CompositeSpec) else _tenon.as_dtype(getattr(t, "dtype", t))
             for t in ([Tout] if single else Tout)]
    return kinds, single


def _name_of(func):
    return getattr(func, "__name__", "pyfunc")


@do_not_convert
def numpy_function(func=None, inp=None, Tout=None, stateful=True, name=None):  # noqa: N803: TensorFlow's name
    """`func` of the tensors as NumPy's arrays; what it returns has the dtypes `Tout`. No gradient flows through it. Without
    `func`, a decorator."""
    if func is None:
        return lambda func: lambda *inp: numpy_function(func, inp, Tout, stateful, name)
    tapes = _tenon.stop_recording()
    try:
        if _tenon.tracing():
            return _numpy_function(func, inp, *_listed(Tout))
        values = nest.flatten(func(*(_tenon.convert(x).numpy() for x in inp)))
        values = [x if x is None else _tenon.convert(x) for x in values]
        return values[0] if len(values) == 1 else values
    finally:
        _tenon.resume_recording(tapes)


def _numpy_function(func, inp, dtypes, single):
    import numpy as np
    title = _name_of(func)

    def called(tensors):
        value = _result_of(func, [t.numpy() for t in tensors])
        results = []
        for i, (value, dtype) in enumerate(zip(_returned([value] if single else value, len(dtypes), title), dtypes)):
            tensor = _tenon.convert(value.numpy() if isinstance(value, _tenon.Tensor) else np.asarray(value))
            if tensor.dtype != dtype:
                raise errors.InvalidArgumentError(None, None, f"{i}-th value returned by {title} is {tensor.dtype.name}, but "
                                                  f"expects {dtype.name}")
            results.append(tensor)
        return results

    made = emit(called, [_tenon.convert(x) for x in inp], dtypes)
    return made[0] if single else made or None


@do_not_convert
def py_function(func=None, inp=None, Tout=None, name=None):  # noqa: N803: TensorFlow's name
    """`func` of the tensors, run eagerly; what it returns is converted to `Tout`. Gradients flow through it: in a graph they
    are taken by calling it once more. Without `func`, a decorator."""
    if func is None:
        return lambda func: lambda *inp: py_function(func, inp, Tout, name)
    kinds, single = _listed(Tout)
    title = _name_of(func)
    given = [x if is_composite(x) else _tenon.convert(x) for x in inp]
    taken = [x._type_spec if is_composite(x) else None for x in given]

    def called(tensors):
        value = _result_of(func, nest.pack_sequence_as(taken, tensors, True))
        values = [value] if single else list(value) if isinstance(value, (list, tuple)) else [value]
        # What there is more than of dtypes is left out, as in TensorFlow.
        values = _returned(values[:len(kinds)] if kinds else None, len(kinds), title)
        return nest.flatten([_result_of(_result_as, pair) for pair in zip(values, kinds)], True)

    dtypes = [getattr(spec, "dtype", spec) for kind in kinds for spec in
              (kind._component_specs if isinstance(kind, CompositeSpec) else [kind])]
    inputs = nest.flatten(given, True)
    made = _with_gradient(called, inputs, dtypes) if _tenon.tracing() else called(inputs)
    made = nest.pack_sequence_as([kind if isinstance(kind, CompositeSpec) else None for kind in kinds], made, True)
    return made[0] if single else made


def _result_as(value, kind):
    if isinstance(kind, CompositeSpec):
        if not kind.is_compatible_with(value):
            raise TypeError(f"a Python function returns {value!r}, but {kind!r} was expected")
        return value
    return value.read_value() if isinstance(value, _tenon.VariableBase) else _tenon.convert(value, kind)


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
    return with_gradient(made, inputs, [], backward) if made and wanted else made
