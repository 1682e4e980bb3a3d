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


def inside(trace, values):
    """The values as the trace has them: those from around it are captured. All that it returns has to be, before the captures
    are counted."""
    with trace:
        return [trace.inside(v) for v in values]


def captures_of(*traces):
    """What the traces captured together, each once."""
    found = {}
    for trace in traces:
        for value in trace.captures:
            found.setdefault(_tenon.value_id(value), value)
    return list(found.values())


def choose(test, main, orelse):
    """If: the tensors of `main` where `test`, else those of `orelse`. Both are a trace and what it returns, and have the
    same dtypes."""
    types = [x.dtype for x in main[1]]
    branches = [(made, inside(made, results)) for made, results in (main, orelse)]
    captures = captures_of(main[0], orelse[0])
    for made, results in branches:
        made.take(0, captures)
        made.finish(results)
    return raw_ops.If(cond=test, input=captures, Tout=types, then_branch=main[0].add_to_library("cond_true"),
                      else_branch=orelse[0].add_to_library("cond_false")) or []
