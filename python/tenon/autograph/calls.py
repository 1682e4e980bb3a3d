"""Calls in converted code: what is called is converted too, and some builtins take tensors."""
import builtins
import functools
import types

from tenon import _tenon, raw_ops
from tenon.autograph import conversion, loops, values
from tenon.autograph.experimental import MARK
from tenon.tf import arrays, control_flow, elementwise


def _len(value):
    if not values.is_traced(value):
        return len(value)
    if value.shape.rank == 0:
        raise ValueError(f"len requires a non-scalar tensor, got one of shape {value.shape}")
    static = value.shape[0] if value.shape.rank else None
    return arrays.shape(value)[0] if static is None else static


def _number(dtype, python):
    def number(value=0, *args, **kwargs):
        if not values.is_traced(value):
            return python(value, *args, **kwargs)
        if args and args[0] != 10:
            raise NotImplementedError(f"base {args[0]} not supported for int")
        if value.dtype == "string":
            return raw_ops.StringToNumber(string_tensor=value, out_type=dtype)
        return elementwise.cast(value, dtype)

    return number


def _counted(*args):
    """range() of tensors, which may be empty."""
    if len(args) == 1:
        args = (0, *args)
    start, limit, step = args if len(args) == 3 else (*args, 1)
    return loops.Counted(start, limit, step)


def _range(*args):
    if not any(map(values.is_traced, args)):
        return range(*args)
    if len(args) < 3:
        # Python's range is empty where it ends before it starts.
        start, limit = args if len(args) == 2 else (0, *args)
        return arrays.range(start, raw_ops.Maximum(x=_tenon.convert(limit), y=start))
    return arrays.range(*args)


def _next(iterator, *default):
    if not (_tenon.tracing() and values.is_dataset(iterator) and hasattr(iterator, "__next__")):
        return next(iterator, *default)
    if not default:
        return iterator.get_next()
    optional = iterator.get_next_as_optional()
    return control_flow.cond(optional.has_value(), optional.get_value, lambda: default[0])


def _enumerate(iterable, start=0):
    return iterable.enumerate(start) if _is_read(iterable, "enumerate") else enumerate(iterable, start)


def _zip(*iterables, **kwargs):
    if any(_is_read(each, "zip") for each in iterables):
        return type(iterables[0]).zip(iterables)
    return zip(*iterables, **kwargs)


def _map(function, *iterables):
    if any(_is_read(each, "map") for each in iterables):
        dataset = iterables[0] if len(iterables) == 1 else type(iterables[0]).zip(iterables)
        return dataset.map(function)
    return map(function, *iterables)


def _filter(function, iterable):
    return iterable.filter(function) if _is_read(iterable, "filter") else filter(function, iterable)


def _is_read(iterable, name):
    """Whether the graph reads the elements, and so a dataset takes the place of Python's iterator."""
    if not (_tenon.tracing() and values.is_dataset(iterable)):
        return False
    if not hasattr(iterable, name):
        raise NotImplementedError(f"{name}() takes no {type(iterable).__name__} within a tf.function: use a `for` loop over it and "
                                  "count or choose there.")
    return True


_BUILTINS = {builtins.next: _next, builtins.enumerate: _enumerate, builtins.zip: _zip, builtins.map: _map,
             builtins.filter: _filter, builtins.len: _len, builtins.int: _number("int32", int),
             builtins.float: _number("float32", float), builtins.range: _range}


_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)


def _builtin(function):
    try:
        return _BUILTINS.get(function, function)
    except TypeError:  # a callable that has no hash
        return function


def shallow_call(function, /, *args, **kwargs):
    return _builtin(function)(*args, **kwargs)


def call(function, /, *args, **kwargs):
    builtin = _builtin(function)
    if builtin is not function:
        return builtin(*args, **kwargs)
    if not _tenon.tracing():  # Python that the graph calls, or init_scope()
        return function(*args, **kwargs)
    if _is_tenons(function):
        # What takes functions, as map_fn() does, calls them where nothing converts them.
        args = [conversion.convert(a) if isinstance(a, _FUNCTIONS) else a for a in args]
        kwargs = {k: conversion.convert(v) if isinstance(v, _FUNCTIONS) else v for k, v in kwargs.items()}
        return function(*args, **kwargs)
    return conversion.convert(function)(*args, **kwargs)


def _is_tenons(function):
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType) or MARK in function.__dict__:
        return False
    module = function.__globals__.get("__name__", "")
    return module.startswith("tenon.") and not module.startswith("tenon.autograph")


def _iterated(function, args, kwargs):
    """The range that a loop goes through, where the graph runs it; None otherwise."""
    if kwargs or not _tenon.tracing() or not 1 <= len(args) <= 3:
        return None
    if function is arrays.range or function is range and any(map(values.is_traced, args)):
        return _counted(*args)
    return None


def iterated_call(function, /, *args, **kwargs):
    counted = _iterated(function, args, kwargs)
    return call(function, *args, **kwargs) if counted is None else counted


def iterated_shallow_call(function, /, *args, **kwargs):
    counted = _iterated(function, args, kwargs)
    return shallow_call(function, *args, **kwargs) if counted is None else counted
