"""Branches and loops: Python's own where ops run, If and While where a function is traced."""
from tenon import _tenon, nest, raw_ops
from tenon.composite import is_composite
from tenon.tf import elementwise, graphs
from tenon.tf.sparse_tensor import IndexedSlices
from tenon.tf.tensor_array import TensorArray


def _is_traced(value):
    return isinstance(value, _tenon.Tensor) and value.is_symbolic


def _lowered(leaf, dtype=None):
    """The tensor that a function of the graph takes or returns for a leaf; None where it is None."""
    if leaf is None:
        return None
    if isinstance(leaf, TensorArray):
        return leaf.flow
    return _tenon.convert(leaf, None if hasattr(leaf, "dtype") else dtype)


def _packed(structure, tensors):
    """The leaves of `structure`, with these tensors for those that are not None, in their places."""
    tensors = iter(tensors)
    return nest.pack_sequence_as(structure, [
        None if leaf is None else leaf.with_flow(next(tensors)) if isinstance(leaf, TensorArray) else next(tensors)
        for leaf in nest.flatten(structure, expand_composites=True)], expand_composites=True)


def _traced(function, arguments=(), dtypes=None):
    """A trace of `function` on arguments like `arguments`, not yet finished; its result, and the tensors of it."""
    def lowered(*inner):
        result = function(*inner)
        leaves = nest.flatten(result, expand_composites=True)
        return result, [_lowered(leaf, dtype) for leaf, dtype in zip(leaves, dtypes or [None] * len(leaves))]

    trace, (result, tensors) = graphs.trace(lowered, arguments)
    return trace, result, graphs.inside(trace, [t for t in tensors if t is not None])


def cond(pred, true_fn=None, false_fn=None, name=None):
    """The result of `true_fn` or of `false_fn`."""
    pred = pred if isinstance(pred, (bool, _tenon.Tensor)) else _tenon.convert(pred)
    if not _is_traced(pred):
        return true_fn() if bool(pred) else false_fn()
    (then, yes, if_true), (other, no, if_false) = _traced(_widened(true_fn)), _traced(_widened(false_fn))
    nest.assert_same_structure(yes, no)
    yes = nest.map_structure(_like_both, yes, no)
    types = [x.dtype for x in if_true]
    if types != [x.dtype for x in if_false]:
        raise TypeError(f"true_fn and false_fn arguments to tf.cond must have the same number, type, and overall "
                        f"structure of return values: one returns {types}, the other {[x.dtype for x in if_false]}.")
    return _packed(yes, graphs.choose(pred, (then, if_true), (other, if_false)))


def _widened(function):
    """`function`, whose IndexedSlices have places of int64, whichever dtype a branch has computed them in."""
    def widened():
        return nest.map_structure(
            lambda x: IndexedSlices(x.values, elementwise.cast(x.indices, "int64"), x.dense_shape)
            if isinstance(x, IndexedSlices) else x, function())
    return widened


def _like_both(yes, no):
    """What stands for a result of both branches: composite tensors have to be of one kind, and have the shape of both."""
    if not is_composite(yes) and not is_composite(no):
        return yes
    specs = [getattr(each, "_type_spec", None) for each in (yes, no)]
    if None in specs or type(specs[0]) is not type(specs[1]) or specs[0]._kind != specs[1]._kind:
        raise TypeError(f"true_fn and false_fn arguments to tf.cond must return values of one kind: one returns {yes}, the other "
                        f"{no}.")
    return specs[0] if specs[0].shape == specs[1].shape else specs[0].most_specific_common_supertype([specs[1]])


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


def _next_vars(loop_vars, result):
    return type(loop_vars)(result) if isinstance(result, (list, tuple)) else [result]


def while_loop(cond, body, loop_vars, shape_invariants=None, parallel_iterations=10, back_prop=True, swap_memory=False,
               maximum_iterations=None, name=None):
    """`loop_vars` after `body` has been called on them as long as `cond` is true of them."""
    if not _tenon.tracing():
        count = 0
        while (maximum_iterations is None or count < int(maximum_iterations)) and bool(cond(*loop_vars)):
            loop_vars = _next_vars(loop_vars, body(*loop_vars))
            count += 1
        return nest.map_structure(lambda v: v if isinstance(v, TensorArray) else _tenon.convert(v), loop_vars)
    leaves = nest.flatten(loop_vars, expand_composites=True)
    flat = [_lowered(v) for v in leaves]
    shapes = [v.shape for v in flat] if shape_invariants is None else [
        getattr(s, "shape", s) for s in _flat_shapes(shape_invariants, loop_vars)]
    extra = [] if maximum_iterations is None else [_tenon.convert(0, "int32")]
    arguments = [(v.dtype, s) for v, s in zip(flat, shapes)] + [(v.dtype, v.shape) for v in extra]
    dtypes = [v.dtype for v in flat]

    def structured(inner):
        return _packed(loop_vars, inner[:len(flat)])

    def traced_cond(*inner):
        more = _tenon.convert(cond(*structured(inner)))
        if extra:
            more = raw_ops.LogicalAnd(x=more, y=raw_ops.Less(x=inner[-1], y=_tenon.convert(maximum_iterations, "int32")))
        return more

    after = []

    def traced_body(*inner):
        result = body(*structured(inner))
        result = list(result) if isinstance(result, (list, tuple)) else [result]
        nest.assert_same_structure(list(loop_vars), result, check_types=False)
        after.extend(nest.flatten(result, expand_composites=True))
        return after + [i + 1 for i in inner[len(flat):]]

    condition, _, more = _traced(traced_cond, arguments)
    step, _, results = _traced(traced_body, arguments, dtypes + ["int32"] * len(extra))
    for before, result, shape in zip(leaves, results, shapes):
        if isinstance(before, TensorArray):
            continue
        if not shape.is_compatible_with(result.shape) or shape.most_specific_compatible_shape(result.shape) != shape:
            raise ValueError(f"A loop variable of shape {shape} has the shape {result.shape} after one iteration. Give "
                             "shape_invariants that hold for both.")
    captures = graphs.captures_of(condition, step)
    for trace in (condition, step):
        trace.take(len(arguments), captures)
    condition.finish(more)
    step.finish(results + graphs.inside(step, captures))
    outputs = raw_ops.While(input=flat + extra + captures, cond=condition.add_to_library("while_cond"),
                            body=step.add_to_library("while_body"), output_shapes=[])
    # The body may have learned the shape of an array's elements.
    grown = [b.with_flow(b.flow, a.element_shape) if isinstance(b, TensorArray) else b for b, a in zip(leaves, after)]
    return _packed(nest.pack_sequence_as(loop_vars, grown, expand_composites=True), outputs[:len(flat)])


def _flat_shapes(invariants, loop_vars):
    """Shapes by loop variable; a TensorShape is a leaf although it is a tuple."""
    flat = nest.flatten(invariants, expand_composites=True)
    if len(flat) != len(nest.flatten(loop_vars, expand_composites=True)):
        raise ValueError("shape_invariants must have one shape for each loop variable.")
    return flat
