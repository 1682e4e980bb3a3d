"""Functions of the graph that branches and loops are made of."""
from tenon import _tenon, raw_ops


def trace(function, arguments=()):
    """A trace of `function` on arguments like `arguments` (dtypes and shapes), not yet finished, and its result."""
    made = _tenon.Trace(nested=True)
    inner = [made.argument(f"arg{i}", dtype, shape) for i, (dtype, shape) in enumerate(arguments)]
    tapes = _tenon.stop_recording()
    try:
        with made:
            return made, function(*inner)
    finally:
        _tenon.resume_recording(tapes)


def choose(test, main, orelse):
    """If: the tensors of `main` where `test`, else those of `orelse`. Both are a trace and what it returns, and have the
    same dtypes."""
    types = [x.dtype for x in main[1]]
    captures = {}
    for made, results in (main, orelse):
        with made:
            results[:] = [made.inside(x) for x in results]
        for value in made.captures:
            captures.setdefault(_tenon.value_id(value), value)
    captures = list(captures.values())
    for made, results in (main, orelse):
        made.take(0, captures)
        made.finish(results)
    return raw_ops.If(cond=test, input=captures, Tout=types, then_branch=main[0].add_to_library("cond_true"),
                      else_branch=orelse[0].add_to_library("cond_false")) or []
