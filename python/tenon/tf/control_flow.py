"""Branches and loops: Python's own where ops run, If and While where a function is traced."""
from tenon import _tenon, nest, raw_ops


def _is_traced(value):
    return isinstance(value, _tenon.Tensor) and value.is_symbolic


def _traced(function, arguments=()):
    """A trace of `function` on arguments like `arguments`, not yet finished, and its result."""
    trace = _tenon.Trace(nested=True)
    inner = [trace.argument(f"arg{i}", dtype, shape) for i, (dtype, shape) in enumerate(arguments)]
    tapes = _tenon.stop_recording()
    try:
        with trace:
            # A result from around it is captured at once, with everything else.
            result = nest.map_structure(lambda x: trace.inside(_tenon.convert(x)), function(*inner))
    finally:
        _tenon.resume_recording(tapes)
    return trace, result


def _union(*traces):
    """What the traces captured together, each once."""
    found = {}
    for trace in traces:
        for value in trace.captures:
            found.setdefault(_tenon.value_id(value), value)
    return list(found.values())


def cond(pred, true_fn=None, false_fn=None, name=None):
    """The result of `true_fn` or of `false_fn`."""
    if isinstance(pred, _tenon.VariableBase):
        pred = pred.read_value()
    if not _is_traced(pred):
        return true_fn() if bool(pred) else false_fn()
    (then, yes), (other, no) = _traced(true_fn), _traced(false_fn)
    nest.assert_same_structure(yes, no)
    captures = _union(then, other)
    for trace, result in ((then, yes), (other, no)):
        trace.take(0, captures)
        trace.finish(nest.flatten(result))
    types = [x.dtype for x in nest.flatten(yes)]
    for a, b in zip(types, nest.flatten(no)):
        if a != b.dtype:
            raise TypeError(f"true_fn and false_fn arguments to tf.cond must have the same number, type, and overall "
                            f"structure of return values: one returns {a}, the other {b.dtype}.")
    outputs = raw_ops.If(cond=pred, input=captures, Tout=types, then_branch=then.add_to_library("cond_true"),
                         else_branch=other.add_to_library("cond_false"))
    return nest.pack_sequence_as(yes, outputs or [])


def case(pred_fn_pairs, default=None, exclusive=False, strict=False, name="case"):
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    (pred, function), rest = pairs[0], pairs[1:]
    if not rest:
        return cond(pred, function, default or function)
    return cond(pred, function, lambda: case(rest, default))


def switch_case(branch_index, branch_fns, default=None, name="switch_case"):
    """The result of the function of that index; of the last, or of `default`, where there is none."""
    functions = dict(branch_fns if isinstance(branch_fns, dict) else
                     (f if isinstance(f, tuple) else (i, f) for i, f in enumerate(branch_fns)))
    default = functions[max(functions)] if default is None else default
    index = _tenon.convert(branch_index)
    return case([(raw_ops.Equal(x=index, y=i), f) for i, f in sorted(functions.items())], default)


def while_loop(cond, body, loop_vars, shape_invariants=None, parallel_iterations=10, back_prop=True, swap_memory=False,
               maximum_iterations=None, name=None):
    """`loop_vars` after `body` has been called on them as long as `cond` is true of them."""
    if not _tenon.tracing():
        count = 0
        while bool(cond(*loop_vars)) and (maximum_iterations is None or count < int(maximum_iterations)):
            result = body(*loop_vars)
            loop_vars = type(loop_vars)(result) if isinstance(result, (list, tuple)) else [result]
            count += 1
        return nest.map_structure(_tenon.convert, loop_vars)
    flat = [_tenon.convert(v) for v in nest.flatten(loop_vars)]
    shapes = [v.shape for v in flat] if shape_invariants is None else [
        getattr(s, "shape", s) for s in _flat_shapes(shape_invariants, loop_vars)]
    extra = [] if maximum_iterations is None else [_tenon.convert(0, "int32")]
    arguments = [(v.dtype, s) for v, s in zip(flat, shapes)] + [(v.dtype, v.shape) for v in extra]

    def structured(inner):
        return nest.pack_sequence_as(loop_vars, inner[:len(flat)])

    def traced_cond(*inner):
        more = cond(*structured(inner))
        if extra:
            more = raw_ops.LogicalAnd(x=more, y=raw_ops.Less(x=inner[-1], y=_tenon.convert(maximum_iterations, "int32")))
        return more

    def traced_body(*inner):
        result = body(*structured(inner))
        result = list(result) if isinstance(result, (list, tuple)) else [result]
        nest.assert_same_structure(list(loop_vars), result, check_types=False)
        return [_tenon.convert(x, v.dtype) for x, v in zip(nest.flatten(result), flat)] + [i + 1 for i in inner[len(flat):]]

    condition, more = _traced(traced_cond, arguments)
    step, results = _traced(traced_body, arguments)
    for result, shape in zip(results, shapes):
        if not shape.is_compatible_with(result.shape) or shape.most_specific_compatible_shape(result.shape) != shape:
            raise ValueError(f"A loop variable of shape {shape} has the shape {result.shape} after one iteration. Give "
                             "shape_invariants that hold for both.")
    captures = _union(condition, step)
    for trace in (condition, step):
        trace.take(len(arguments), captures)
    condition.finish([more])
    with step:
        handed_on = [step.inside(v) for v in captures]
    step.finish(list(results) + handed_on)
    outputs = raw_ops.While(input=flat + extra + captures, cond=condition.add_to_library("while_cond"),
                            body=step.add_to_library("while_body"), output_shapes=[])
    return nest.pack_sequence_as(loop_vars, outputs[:len(flat)])


def _flat_shapes(invariants, loop_vars):
    """Shapes by loop variable; a TensorShape is a leaf although it is a tuple."""
    flat = nest.flatten(invariants)
    if len(flat) != len(nest.flatten(loop_vars)):
        raise ValueError("shape_invariants must have one shape for each loop variable.")
    return flat

