"""Functions with gradients of their own."""
import functools

from tenon import _tenon, nest, raw_ops


def stop_gradient(input, name=None):  # noqa: A002: TensorFlow's name
    return raw_ops.StopGradient(input=input)


def custom_gradient(f=None):
    """Decorates a function that returns its result and the function that gives its gradient.

    The gradient function takes the gradients of the results and gives those of the arguments; where it has an argument
    `variables`, it is given those that the function used, and returns their gradients as a second value.
    """
    if f is None:
        return custom_gradient

    @functools.wraps(f)
    def decorated(*args, **kwargs):
        args = nest.map_structure(lambda x: _tenon.convert(x) if _differentiable(x) else x, args)
        tapes = _tenon.stop_recording()
        inner = _tenon.Tape(persistent=False, watch_variables=True)
        inner.push()
        try:
            result, gradient = f(*args, **kwargs)
            inner.pop()
            flat_result = [_tenon.convert(r) for r in nest.flatten(result)]
            # A result of its own, by no op that a tape knows: an argument that is handed through is not taken for its input.
            flat_result = [raw_ops.Identity(input=r) for r in flat_result]
        finally:
            inner.pop()
            _tenon.resume_recording(tapes)
        variables = inner.variables()
        inputs = [a for a in nest.flatten(args) if isinstance(a, _tenon.Tensor)]

        def backward(dys):
            if not variables:
                return _listed(gradient(*dys), len(inputs))
            dxs, dvariables = gradient(*dys, variables=variables)
            return _listed(dxs, len(inputs)) + list(dvariables)

        return nest.pack_sequence_as(result, with_gradient(flat_result, inputs, variables, backward))

    return decorated


def with_gradient(results, inputs, variables, backward):
    """The tensors `results`, for which `backward` gives the gradients of `inputs` and `variables`: in a graph too, whoever
    differentiates it."""
    read = [variable.read_value() for variable in variables]  # outer tapes watch them from now on
    if not _tenon.tracing():
        _tenon.record_custom(backward, inputs + variables, results)
        return results
    from tenon.tf import graphs  # slow to load
    try:
        made, dxs = graphs.trace(lambda *dys: backward(list(dys)), [(each.dtype, each.shape) for each in results])
        of = [i for i, dx in enumerate(dxs) if dx is not None]
        found = graphs.inside(made, [_tenon.convert(dxs[i]) for i in of])
    except Exception as error:
        tapes = _tenon.stop_recording()
        _tenon.resume_recording(tapes)
        if tapes:  # who differentiates it here calls it here, as replicas have to that meet in it
            _tenon.record_custom(backward, inputs + variables, results)
            return results
        return _tenon.with_gradient(results, inputs + read, [], "", [], f"gradient function: {type(error).__name__}: {error}")
    captures = graphs.captures_of(made)
    made.take(len(results), captures)
    made.finish(found)
    return _tenon.with_gradient(results, inputs + read, captures, made.add_to_library("gradient"), of, "")


def _differentiable(value):
    return isinstance(value, (float, _tenon.Tensor, _tenon.VariableBase)) or hasattr(value, "__array__")


def _listed(dxs, count):
    return list(dxs) if count != 1 or isinstance(dxs, (list, tuple)) else [dxs]
