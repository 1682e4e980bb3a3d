"""The syntax tree of a function, from its source file."""
import __future__

import ast
import functools
import linecache

from tenon.autograph import syntax


class NoSource(Exception):
    """The source of a function can not be had, or is not what runs."""


FUTURES = functools.reduce(lambda flags, name: flags | getattr(__future__, name).compiler_flag,
                           __future__.all_feature_names, 0)


@functools.lru_cache(maxsize=8)
def _parse(filename, lines):
    try:
        return ast.parse("".join(lines), filename)
    except SyntaxError as error:
        raise NoSource(f"{filename} does not parse: {error}") from None


def _around(node, line):
    """The functions in `node` of which `line` is a part, outer ones first."""
    for child in ast.iter_child_nodes(node):
        start = getattr(child, "lineno", None)
        if start is not None:
            start = min([start] + [d.lineno for d in getattr(child, "decorator_list", [])])
            if not start <= line <= child.end_lineno:
                continue
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and start == line:
            yield child
        yield from _around(child, line)


def _has_arguments(node, code):
    names = syntax.argument_names(node.args)
    varargs = bool(node.args.vararg) + bool(node.args.kwarg)
    count = code.co_argcount + code.co_kwonlyargcount
    # A private name is another one in a class (__x is _Class__x).
    return (len(names) - varargs == count and all(a == b or b.endswith(a) for a, b in zip(names, code.co_varnames)))


def _spans(node, code):
    """Whether `code` begins and ends where the lambda's body does. Python tells columns from 3.11 on."""
    places = [((line, column), (end_line, end_column)) for line, end_line, column, end_column in
              getattr(code, "co_positions", tuple)() if None not in (line, end_line, column, end_column)]
    places = [(begin, end) for begin, end in places if begin != end]
    body = node.body
    return bool(places) and (min(begin for begin, _ in places) == (body.lineno, body.col_offset)
                             and max(end for _, end in places) == (body.end_lineno, body.end_col_offset))


def _same_code(node, code):
    """Whether the lambda `node` compiles to `code`; what Python runs knows the columns too, from 3.11 on."""
    inner = ast.Module([ast.FunctionDef("factory", ast.arguments(
        [], [ast.arg(name) for name in code.co_freevars], None, [], [], None, []), [ast.Return(node)], [],
        type_params=[])], [])
    for each in ast.walk(inner):
        if isinstance(each, (ast.FunctionDef, ast.arg, ast.Return)) and not hasattr(each, "lineno"):
            ast.copy_location(each, node)
    try:
        compiled = compile(inner, code.co_filename, "exec", code.co_flags & FUTURES, True)
    except (SyntaxError, ValueError):
        return False
    factory = next(c for c in compiled.co_consts if hasattr(c, "co_code"))
    return any(c == code for c in factory.co_consts if hasattr(c, "co_code"))


def function_node(function):
    """The FunctionDef or Lambda that `function` was made from, which must not be changed. NoSource otherwise."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise NoSource(f"the source of {code.co_filename} is not to be had")
    is_lambda = code.co_name == "<lambda>"
    found = [node for node in _around(_parse(code.co_filename, tuple(lines)), code.co_firstlineno)
             if isinstance(node, ast.Lambda) == is_lambda and (is_lambda or node.name == code.co_name)
             and _has_arguments(node, code)]
    if len(found) > 1:
        # Code alone does not tell: calls of what a module imports compile in another way than here.
        found = ([node for node in found if _spans(node, code)] or [node for node in found if _same_code(node, code)]
                 or found)
    if not found:
        raise NoSource(f"{code.co_filename} has no such function in line {code.co_firstlineno}")
    return found[0]
