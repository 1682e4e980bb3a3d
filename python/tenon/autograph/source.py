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


def _extent(node):
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _holds(node, code):
    """Whether all that `code` does stands in the body of the lambda `node`."""
    start, end = _extent(node.body)
    return all(start <= (line, column) and (end_line, end_column) <= end
               for line, end_line, column, end_column in code.co_positions()
               if None not in (line, end_line, column, end_column) and (column, end_column) != (0, 0))


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
        # Lambdas of one line; of those in one another, the innermost comes last.
        found = [node for node in found if _holds(node, code)][-1:]
    if not found:
        raise NoSource(f"{code.co_filename} has no such function in line {code.co_firstlineno}")
    return found[0]
