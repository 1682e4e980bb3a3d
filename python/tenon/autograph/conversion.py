"""Which functions are converted, and the pipeline that does it:

    source -> jumps -> liveness -> expressions -> statements -> code

The new code has the places of the old one, so that tracebacks and debuggers show the user's lines. It is made once for each
code object; what it closes over are the cells of the function at hand.
"""
import ast
import copy
import functools
import os
import re
import threading
import types
import warnings
import weakref

from tenon.autograph import expressions, source, statements, syntax
from tenon.autograph.experimental import MARK

_LEFT_ALONE = frozenset((
    "tenon", "keras", "keras_tenon", "tf_keras", "numpy", "scipy", "pandas", "matplotlib", "PIL", "absl", "torch", "jax",
    "tensorflow", "tensorflow_probability", "tensorflow_datasets", "pytest", "_pytest", "IPython", "ipykernel", "mock", "ipdb"))
_OF_PYTHON = os.path.dirname(os.__file__) + os.sep
_PACKAGES = re.compile(r"[/\\](site|dist)-packages[/\\]")
_lock = threading.RLock()
_converted = weakref.WeakKeyDictionary()  # code -> {(file, qualified name, recursive): new code or None}
_artifacts = weakref.WeakSet()


def _is_left_alone(function):
    """Whether it is a library's or Python's own, converted already, or marked. Decorators copy __module__: it says nothing."""
    code, module = function.__code__, function.__globals__.get("__name__") or ""
    if module.partition(".")[0] in _LEFT_ALONE or code in _artifacts or MARK in function.__dict__:
        return True
    file = code.co_filename
    return file.startswith("<frozen") or (file.startswith(_OF_PYTHON) and not _PACKAGES.search(file)
                                          and module not in ("functools", "contextlib"))


def _class_name(function):
    """Of the class in whose body the function is defined; empty where there is none."""
    parts = function.__qualname__.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2].isidentifier() else ""


def _factory(function, node):
    """A module that holds `node` where its names mean what they meant: in a function of what it closes over, and in the
    class whose private names it uses."""
    around = _class_name(function)
    body = [node] if isinstance(node, ast.FunctionDef) else syntax.statements("value", node, value=node)
    if around:
        body = syntax.statements(f"class {around}:\n  body", node, body=body)
        if around not in function.__code__.co_freevars:  # a class of the module
            body = syntax.statements(f"global {around}", node) + body
    elif isinstance(node, ast.FunctionDef) and node.name not in function.__code__.co_freevars:
        body = syntax.statements(f"global {node.name}", node) + body  # which it may call: it is no name of the factory's
    free = ", ".join(dict.fromkeys(("ag__", *function.__code__.co_freevars)))
    return ast.Module(syntax.statements(f"def factory({free}):\n  body", node, body=body), [])


def _inside(code, name):
    return next(c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == name)


def _named(code, around):
    """`code` with the blocks in it named as the function that they are blocks of."""
    name = around if code.co_name.startswith("ag__") else code.co_name
    consts = tuple(_named(c, name) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    code = code.replace(co_name=name, co_consts=consts)
    _artifacts.add(code)
    return code


def transformed(function, recursive=True):
    """The syntax tree of `function` converted: a module that holds a factory of it."""
    code = function.__code__
    if code.co_flags & 0x2a0:  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
        raise syntax.Unsupported("generators are not supported" if code.co_flags & 0x20 else
                                 "coroutines are not supported")
    node = copy.deepcopy(source.function_node(function))
    node.args.defaults = [ast.copy_location(ast.Constant(None), node) for _ in node.args.defaults]
    node.args.kw_defaults = [None if d is None else ast.copy_location(ast.Constant(None), node)
                             for d in node.args.kw_defaults]
    for each in ast.walk(node.args):
        if isinstance(each, ast.arg):
            each.annotation = None
    if isinstance(node, ast.FunctionDef):
        node.decorator_list, node.returns = [], None
    statements.prepare(node)
    expressions.rewrite(node, recursive)
    statements.rewrite(node)
    return _factory(function, node)


def _convert_code(function, recursive):
    code = function.__code__
    tree = transformed(function, recursive)
    compiled = compile(tree, code.co_filename, "exec", code.co_flags & source.FUTURES, True)
    for name in ("factory", _class_name(function), code.co_name):
        compiled = _inside(compiled, name) if name else compiled
    return _named(compiled, code.co_name)


def _new_code(function, recursive):
    """The converted code of `function`, None where it can not be had: a warning says so once."""
    code = function.__code__
    key = (code.co_filename, function.__qualname__, recursive)
    with _lock:
        known = _converted.setdefault(code, {})
        if key not in known:
            known[key] = None
            try:
                known[key] = _convert_code(function, recursive)
            except Exception as error:  # whatever it is, the function runs as it stands
                _warn(function, error)
        return known[key]


def _warn(function, error):
    cause = str(error) if isinstance(error, (source.NoSource, syntax.Unsupported)) else repr(error)
    warnings.warn(f"AutoGraph could not transform {function} and will run it as-is.\nCause: {cause}\nTo silence this "
                  "warning, decorate the function with @tf.autograph.experimental.do_not_convert", stacklevel=3)


def _convert_function(function, recursive):
    code = _new_code(function, recursive)
    if code is None:
        return function
    from tenon.autograph import operators
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    cells["ag__"] = types.CellType(operators)
    closure = tuple(cells.get(name) or types.CellType() for name in code.co_freevars)
    made = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__, made.__module__, made.__doc__ = function.__qualname__, function.__module__, function.__doc__
    made.__annotations__ = function.__annotations__
    made.__dict__.update(function.__dict__)
    return made


def convert(callable_, recursive=True):
    """What does the same as `callable_`, with tensors in its control flow; itself where nothing is to be converted."""
    if isinstance(callable_, types.FunctionType):
        return callable_ if _is_left_alone(callable_) else _convert_function(callable_, recursive)
    if isinstance(callable_, types.MethodType):
        function = convert(callable_.__func__, recursive)
        return callable_ if function is callable_.__func__ else types.MethodType(function, callable_.__self__)
    if isinstance(callable_, functools.partial):
        function = convert(callable_.func, recursive)
        return callable_ if function is callable_.func else functools.partial(
            function, *callable_.args, **callable_.keywords)
    if isinstance(callable_, (type, types.BuiltinFunctionType)) or hasattr(callable_, MARK):
        return callable_
    method = getattr(type(callable_), "__call__", None)
    if isinstance(method, types.FunctionType):
        function = convert(method, recursive)
        return callable_ if function is method else types.MethodType(function, callable_)
    return callable_


def _function_of(entity):
    function = getattr(entity, "__func__", entity)
    if not isinstance(function, types.FunctionType):
        function = getattr(type(entity), "__call__", None)
    if not isinstance(function, types.FunctionType):
        raise ValueError(f"AutoGraph converts functions and methods, not {entity!r}.")
    return function


def convert_or_raise(entity, recursive=True):
    """As convert(), with an error where the source can not be had or has what can not be converted."""
    code_of(entity, recursive)
    return convert(entity, recursive)


def code_of(entity, recursive=True):
    """The text of the converted function."""
    function = _function_of(entity)
    try:
        tree = transformed(function, recursive)
    except (source.NoSource, syntax.Unsupported) as error:
        raise ValueError(f"AutoGraph could not transform {function}: {error}") from None
    body = tree.body[0].body
    if _class_name(function):
        body = body[-1].body
    return ast.unparse(ast.Module(body, [])) + "\n"


def without_machinery(traceback):
    """The traceback without the frames of this package: what is left are the user's lines, and Tenon's functions."""
    if traceback is None:
        return None
    rest = without_machinery(traceback.tb_next)
    if traceback.tb_frame.f_globals.get("__name__", "").startswith("tenon.autograph"):
        return rest
    return types.TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
