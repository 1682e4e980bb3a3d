"""Functions that take functions: map_fn, vectorized_map, scan, foldl, recompute_grad, and forward-mode gradients."""
from tenon import _tenon, nest, raw_ops
from tenon.custom_gradient import custom_gradient
from tenon.gradient_tape import GradientTape, UnconnectedGradients
from tenon.tensor_spec import TensorSpec
from tenon.tf import arrays, control_flow
from tenon.tf.internal import FuncGraph
from tenon.tf.sparse_tensor import SparseTensor
from tenon.tf.tensor_array import TensorArray


def _leading(flat):
    """How many elements the tensors have: a number where it is known, otherwise a tensor."""
    for x in flat:
        if x.shape.rank is not None and x.shape[0] is not None:
            return x.shape[0]
    return arrays.shape(flat[0])[0]


def _signature(fn, elems, flat):
    """What `fn` returns for one element."""
    with FuncGraph("signature").as_default() as graph:
        inner = [graph.placeholder(x.dtype, x.shape[1:]) for x in flat]
        out = fn(nest.pack_sequence_as(elems, inner))
        return nest.map_structure(lambda x: TensorSpec(_tenon.convert(x).shape, _tenon.convert(x).dtype), out)


def map_fn(fn, elems, dtype=None, parallel_iterations=None, back_prop=True, swap_memory=False, infer_shape=True,
           name=None, fn_output_signature=None):
    """`fn` of each element along the first dimension, stacked."""
    leaves = nest.flatten(elems)
    if any(isinstance(leaf, SparseTensor) for leaf in leaves):
        return map_fn(*_by_rows(fn, elems, leaves), fn_output_signature=fn_output_signature)
    flat = [_tenon.convert(x) for x in leaves]
    count = _leading(flat)
    if not _tenon.tracing():
        if count:
            results = [fn(nest.pack_sequence_as(elems, [x[i] for x in flat])) for i in range(count)]
            leaves = zip(*map(nest.flatten, results))
            return nest.pack_sequence_as(results[0], [raw_ops.Pack(values=list(parts)) for parts in leaves])
        specs = _signature(fn, elems, flat)
        return nest.map_structure(lambda s: arrays.zeros([0] + [d or 0 for d in s.shape], s.dtype), specs)
    specs = _signature(fn, elems, flat)
    inputs = [TensorArray(x.dtype, count, element_shape=x.shape[1:]).unstack(x) for x in flat]
    outputs = [TensorArray(s.dtype, count, element_shape=s.shape) for s in nest.flatten(specs)]

    def body(i, outputs):
        result = fn(nest.pack_sequence_as(elems, [x.read(i) for x in inputs]))
        return i + 1, [o.write(i, r) for o, r in zip(outputs, nest.flatten(result))]

    _, outputs = control_flow.while_loop(lambda i, _: i < count, body, (0, outputs))
    return nest.pack_sequence_as(specs, [o.stack() for o in outputs])


def _by_rows(fn, elems, leaves):
    """The function of rows, and the rows, of which those of sparse tensors are three texts."""
    specs = [leaf._type_spec if isinstance(leaf, SparseTensor) else None for leaf in leaves]
    rows = [leaf if spec is None else spec._encode(leaf, True) for leaf, spec in zip(leaves, specs)]

    def of_rows(packed):
        parts = [part if spec is None else spec._unbatched()._decode(part) for part, spec in zip(nest.flatten(packed), specs)]
        return fn(nest.pack_sequence_as(elems, parts))

    return of_rows, nest.pack_sequence_as(elems, rows)


def vectorized_map(fn, elems, fallback_to_while_loop=True, warn=True):
    """As map_fn(); where a tensor has one element and another more, it is used for all. Elements are taken one by one."""
    flat = [_tenon.convert(x) for x in nest.flatten(elems)]
    known = [x.shape[0] for x in flat]
    most = max((d for d in known if d is not None), default=1)
    if any(d == 1 for d in known) and most > 1:
        flat = [arrays.tile(x, [most] + [1] * (x.shape.rank - 1)) if d == 1 else x for x, d in zip(flat, known)]
    return map_fn(fn, nest.pack_sequence_as(elems, flat))


def foldl(fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False, name=None):
    """fn(... fn(fn(initializer, first), second) ..., last)."""
    flat = [_tenon.convert(x) for x in nest.flatten(elems)]
    count = _leading(flat)

    def element(i):
        return nest.pack_sequence_as(elems, [arrays.gather(x, i) for x in flat])

    start = 0 if initializer is not None else 1
    state = element(0) if initializer is None else nest.map_structure(_tenon.convert, initializer)
    _, state = control_flow.while_loop(lambda i, _: i < count, lambda i, s: (i + 1, fn(s, element(i))), (start, state))
    return state


def scan(fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False, infer_shape=True,
         reverse=False, name=None):
    """The states of foldl(), stacked."""
    flat = [_tenon.convert(x) for x in nest.flatten(elems)]
    if reverse:
        flat = [arrays.reverse(x, [0]) for x in flat]
    count = _leading(flat)

    def element(i):
        return nest.pack_sequence_as(elems, [arrays.gather(x, i) for x in flat])

    state = element(0) if initializer is None else nest.map_structure(_tenon.convert, initializer)
    leaves = nest.flatten(state)
    states = [TensorArray(s.dtype, count, element_shape=s.shape) for s in leaves]
    start = 0
    if initializer is None:
        states, start = [a.write(0, s) for a, s in zip(states, leaves)], 1

    def body(i, state, states):
        state = fn(state, element(i))
        return i + 1, state, [a.write(i, s) for a, s in zip(states, nest.flatten(state))]

    _, _, states = control_flow.while_loop(lambda i, *_: i < count, body, (start, state, states))
    stacked = [a.stack() for a in states]
    if reverse:
        stacked = [arrays.reverse(x, [0]) for x in stacked]
    return nest.pack_sequence_as(state, stacked)


def recompute_grad(f):
    """`f`, of which nothing is kept for its gradient: that computes it again."""
    @custom_gradient
    def recomputed(*args, **kwargs):
        result = f(*args, **kwargs)

        def gradient(*dys, variables=None):
            sources = [a for a in nest.flatten(args) if isinstance(a, _tenon.Tensor)]
            with GradientTape(persistent=True) as tape:
                tape.watch(sources)
                again = f(*args, **kwargs)
            wanted = sources + list(variables or [])
            grads = tape.gradient(again, wanted, output_gradients=nest.pack_sequence_as(again, list(dys)))
            ours, theirs = grads[:len(sources)], grads[len(sources):]
            return (ours, theirs) if variables else ours

        return result, gradient

    return recomputed


class ForwardAccumulator:
    """Products of Jacobians with vectors, for what is computed while it is open."""

    def __init__(self, primals, tangents):
        nest.assert_same_structure(primals, tangents)
        self._primals = [p if isinstance(p, _tenon.VariableBase) else _tenon.convert(p) for p in nest.flatten(primals)]
        self._tangents = [_tenon.convert(t) for t in nest.flatten(tangents)]
        self._tape = GradientTape(persistent=True)

    def __enter__(self):
        self._tape.__enter__()
        self._tape.watch(self._primals)
        return self

    def __exit__(self, *error):
        self._tape.__exit__(*error)

    def jvp(self, primals, unconnected_gradients=UnconnectedGradients.NONE):
        """The gradient of sum(v * d primals / d x) for v is the product with the tangents: two passes backwards."""
        zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO

        def product(primal):
            with GradientTape() as outer:
                v = raw_ops.OnesLike(x=_tenon.convert(primal))
                outer.watch(v)
                back = self._tape.gradient(primal, self._primals, output_gradients=v)
                parts = [g * t for g, t in zip(back, self._tangents) if g is not None]
            if not parts:
                return raw_ops.ZerosLike(x=primal) if zero else None
            return outer.gradient(parts, v)

        return nest.map_structure(product, primals)


def grad_pass_through(f):
    """`f`, whose gradient is taken to be that of the identity."""
    @custom_gradient
    def passed(*args, **kwargs):
        def gradient(*dys, variables=None):
            given = dys[0] if len(dys) == 1 else list(dys)
            return (given, [None] * len(variables)) if variables else given
        return f(*args, **kwargs), gradient

    return passed


def _listed(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def gradients(ys, xs, grad_ys=None, name="gradients", gate_gradients=False, aggregation_method=None, stop_gradients=None,
              unconnected_gradients=UnconnectedGradients.NONE):
    """In a traced function the gradients of the sum of `ys` for each of `xs`: all that led from one to the other counts."""
    if not _tenon.tracing():
        raise RuntimeError("tf.gradients is not supported when eager execution is enabled. Use tf.GradientTape instead.")
    if stop_gradients is not None:
        raise NotImplementedError("tf.gradients() takes no stop_gradients: use tf.stop_gradient.")
    tape = GradientTape()
    with tape:
        tape.watch(_listed(xs))
    tape._tape.record_all()
    return tape.gradient(_listed(ys), _listed(xs), None if grad_ys is None else _listed(grad_ys), unconnected_gradients)


def hessians(ys, xs, gate_gradients=False, aggregation_method=None, name="hessians"):
    """In a traced function the second derivatives of the sum of `ys` for each of `xs`, of the shape of x twice."""
    found = []
    for x in _listed(xs):
        first = gradients(ys, x)[0]
        count = x.shape.num_elements()
        if count is None:
            raise ValueError(f"hessians() needs tensors of known shape, not {x.shape}")
        flat = arrays.reshape(first, [-1])
        rows = [gradients(flat[i], x)[0] for i in range(count)]
        rows = [raw_ops.ZerosLike(x=_tenon.convert(x)) if row is None else _tenon.convert(row) for row in rows]
        found.append(arrays.reshape(arrays.stack(rows), x.shape.as_list() * 2))
    return found
