"""Functions of tensors that take ragged and sparse ones too: each is tried on its arguments as they are, and where one of them
is no single tensor the rule for such arguments is taken. So tensors cost nothing more."""
import functools

from tenon.composite import NotATensor
from tenon.tf import ragged_index, ragged_rules, sparse
from tenon.tf.ragged_rules import elementwise, is_ragged
from tenon.tf.sparse_tensor import SparseTensor

_ELEMENTWISE = """
abs acos acosh add angle asin asinh atan atan2 atanh bitcast cast ceil clip_by_value complex conj cos cosh digamma divide
divide_no_nan equal erf erfc erfinv exp expm1 floor floordiv floormod greater greater_equal imag is_finite is_inf is_nan less
less_equal lgamma log log1p log_sigmoid logical_and logical_not logical_or logical_xor maximum minimum mod multiply
multiply_no_nan negative nextafter not_equal pow real reciprocal rint round rsqrt saturate_cast sigmoid sign sin sinh softplus
sqrt square squared_difference subtract tan tanh truediv truncatediv truncatemod xdivy xlogy zeros_like ones_like identity
stop_gradient ensure_finite check_numerics elu gelu leaky_relu relu relu6 selu silu swish softsign""".split()
_TEXTS = """lower upper strip length substr regex_replace regex_full_match to_number as_string to_hash_bucket
to_hash_bucket_fast to_hash_bucket_strong unicode_script unicode_transcode""".split()
# Of a sparse tensor they change the values: zero stays zero, or only the values count.
_SPARSE = "abs cast conj imag negative real round sign sqrt square tanh sin sinh tan asin asinh atan expm1 log1p floor ceil " \
    "identity relu".split()


def _any_ragged(args, kwargs):
    return any(map(is_ragged, args)) or any(map(is_ragged, kwargs.values()))


def _any_sparse(args, kwargs):
    return any(isinstance(x, SparseTensor) for x in (*args, *kwargs.values()))


def dispatched(function, ragged=None, sparse=None):
    """`function` with these rules for arguments among which are ragged or sparse tensors."""
    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except NotATensor:
            rule = (ragged if _any_ragged(args, kwargs) else None) or (sparse if _any_sparse(args, kwargs) else None)
            if rule is None:
                raise
        return rule(*args, **kwargs)

    return call


def of_lists(function, rule):
    """A function of a list of tensors, with a rule for lists in which one is ragged."""
    @functools.wraps(function)
    def call(values, *args, **kwargs):
        if isinstance(values, (list, tuple)) and any(map(is_ragged, values)):
            return rule(values, *args, **kwargs)
        return function(values, *args, **kwargs)

    return call


def _spread_moments(mean_of):
    def variance(input_tensor, axis=None, keepdims=False, name=None):
        mean = mean_of(input_tensor, axis, True)
        return mean_of((input_tensor - mean) ** 2, axis, keepdims)
    return variance


def _sparse_concat(values, axis, name=None):
    return sparse.concat(axis, values)


def _one_hot(function):
    def rule(indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name=None):
        if axis not in (None, -1):
            raise ValueError("one_hot() of a ragged tensor adds its dimension at the end.")
        return indices.with_flat_values(function(indices.flat_values, depth, on_value, off_value, None, dtype))
    return rule


def _gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    if batch_dims:
        return _gather_in_rows(params, indices, axis, batch_dims)
    axis = 0 if axis is None else axis
    return ragged_index.gather(params, indices, axis + params.shape.rank if axis < 0 else axis)


def _gather_in_rows(params, indices, axis, batch_dims):
    """With batch_dims=1: of each row of `params` what `indices` says there."""
    from tenon import _tenon
    from tenon.tf.ragged_conversion import from_tensor
    from tenon.tf.ragged_tensor import cast
    if batch_dims != 1 or axis not in (None, 1):
        raise NotImplementedError("gather() of ragged tensors knows batch_dims=1.")
    dense = not is_ragged(indices)
    if dense:
        indices = from_tensor(_tenon.convert(indices), None, None, 1, "int64")
    if not is_ragged(params):
        params = from_tensor(_tenon.convert(params), None, None, 1, "int64")
    starts = ragged_index.gather(cast(params.row_starts(), "int64"), cast(indices.value_rowids(), "int64"))
    places = indices.with_values(cast(indices.values, "int64") + starts)
    return ragged_index.gather(params.values, places)


def _boolean_mask(tensor, mask, axis=None, name=None):
    from tenon.tf.ragged import boolean_mask
    return boolean_mask(tensor, mask)


def _sparse_shape(input, out_type="int32", name=None):  # noqa: A002: TensorFlow's name
    from tenon.tf import arrays
    shape = arrays.elementwise.cast(input.dense_shape, out_type)
    return arrays.known_in_part(shape, input.shape.as_list()) if input.shape.rank is not None else shape


def _sparse_size(input, out_type="int32", name=None):  # noqa: A002
    from tenon import raw_ops
    return raw_ops.Cast(x=raw_ops.Prod(input=input.dense_shape, axis=[0], keep_dims=False), DstT=out_type)


def _sparse_rank(input, name=None):  # noqa: A002
    from tenon import raw_ops
    return raw_ops.Size(input=input.dense_shape)


def _ragged_shape(input, out_type="int64", name=None):  # noqa: A002
    return input.bounding_shape(out_type=out_type)


def _dropout(function):
    def rule(x, rate, noise_shape=None, seed=None, name=None):
        if noise_shape is not None:
            raise ValueError("dropout() of a ragged tensor takes no noise_shape.")
        return x.with_flat_values(function(x.flat_values, rate, None, seed))
    return rule


def _embedding(params, ids, max_norm=None, name=None):
    from tenon.tf import nn
    return ids.with_flat_values(nn.embedding_lookup.__wrapped__(params, ids.flat_values, max_norm))


def _sparse_bincount(arr, weights=None, minlength=None, maxlength=None, dtype="int32", name=None, axis=None,
                     binary_output=False):
    from tenon import raw_ops
    from tenon.tf import reductions
    values = arr.values if arr.values.dtype in ("int32", "int64") else raw_ops.Cast(x=arr.values, DstT="int32")
    size = reductions.counting_size(values, minlength, maxlength)
    if axis in (None, 0):
        return reductions.bincount(values, None if weights is None else weights.values, minlength, maxlength, dtype,
                                   binary_output=binary_output)
    given = raw_ops.Fill(dims=[0], value=_zero(dtype)) if weights is None else weights.values
    return raw_ops.SparseBincount(indices=arr.indices, values=values, dense_shape=arr.dense_shape, size=size, weights=given,
                                  binary_output=binary_output)


def _zero(dtype):
    from tenon import _tenon
    return _tenon.convert(0, dtype)


def _map_fn(function):
    def rule(fn, elems, *args, **kwargs):
        """`fn` of each row."""
        from tenon import _tenon, nest
        from tenon.tf import arrays
        rows = next(x for x in nest.flatten(elems) if is_ragged(x)).nrows()

        def of_row(i):
            return fn(nest.map_structure(lambda x: x[i], elems))

        if not _tenon.tracing():
            found = [of_row(i) for i in range(int(rows))]
            if found and not all(isinstance(x, _tenon.Tensor) and x.shape == found[0].shape for x in nest.flatten(found)):
                return nest.pack_sequence_as(found[0], [ragged_rules.stack(list(parts)) for parts in zip(
                    *map(nest.flatten, found))])
        signature = kwargs.pop("fn_output_signature", None) or (args[0] if args else kwargs.pop("dtype", None))
        if signature is None:
            signature = nest.map_structure(lambda x: x.dtype, elems)
        return function(of_row, arrays.range(rows), fn_output_signature=signature, **kwargs)

    @functools.wraps(function)
    def call(fn, elems, *args, **kwargs):
        from tenon import nest
        if any(is_ragged(x) for x in nest.flatten(elems)):
            return rule(fn, elems, *args, **kwargs)
        return function(fn, elems, *args, **kwargs)

    return call


def _rules(names):
    """Of each function its rules for ragged and for sparse arguments."""
    rules = {name: (elementwise(names[name]), None) for name in _ELEMENTWISE if name in names}
    for name in _SPARSE:
        if name in names:
            rules[name] = (rules[name][0], functools.partial(sparse.map_values, names[name]))
    for kind in ("sum", "mean", "max", "min", "prod", "any", "all"):
        name = f"reduce_{kind}"
        if name in names:
            rules[name] = (ragged_rules.reduce(kind, names[name]), getattr(sparse, name, None))
    if "reduce_mean" in names:
        variance = _spread_moments(rules["reduce_mean"][0])
        rules["reduce_variance"] = (variance, None)
        rules["reduce_std"] = (lambda *a, **k: variance(*a, **k) ** .5, None)
    for name in ("expand_dims", "squeeze", "where", "tile", "reverse", "size", "rank", "softmax"):
        rules[name] = (getattr(ragged_rules, name), getattr(sparse, name, None) if name in ("expand_dims", "softmax") else None)
    rules.update(size=(ragged_rules.size, _sparse_size), rank=(ragged_rules.rank, _sparse_rank), gather=(_gather, None), boolean_mask=(_boolean_mask, None), shape=(_ragged_shape, _sparse_shape),
                 bincount=(ragged_rules.bincount, _sparse_bincount), embedding_lookup=(_embedding, None))
    if "one_hot" in names:
        rules["one_hot"] = (_one_hot(names["one_hot"]), None)
    if "dropout" in names:
        rules["dropout"] = (_dropout(names["dropout"]), None)
    return rules


def install(*namespaces):
    """Puts functions with rules into the place of those without."""
    for names in namespaces:
        for name, (ragged, of_sparse) in _rules(names).items():
            if name in names:
                names[name] = dispatched(names[name], ragged, of_sparse)
        for name, rule in (("concat", ragged_rules.concat), ("stack", ragged_rules.stack)):
            if name in names:
                names[name] = of_lists(names[name], rule)
        if "map_fn" in names:
            names["map_fn"] = _map_fn(names["map_fn"])


def install_texts(names):
    """The same for functions of tf.strings."""
    for name in _TEXTS:
        names[name] = dispatched(names[name], elementwise(names[name]))


def operators(names):
    """The operators of ragged tensors, by TensorFlow's functions in `names`."""
    from tenon.tf.ragged_tensor import RaggedTensor
    binary = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floordiv",
              "mod": "floormod", "pow": "pow", "and": "logical_and", "or": "logical_or", "xor": "logical_xor"}
    comparisons = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}
    unary = {"neg": "negative", "abs": "abs", "invert": "logical_not"}
    rules = {name: elementwise(names[name].__wrapped__) for name in (*binary.values(), *comparisons.values(), *unary.values())}
    for operator, name in binary.items():
        function = rules[name]
        setattr(RaggedTensor, f"__{operator}__", lambda self, other, f=function: f(self, _like(other, self)))
        setattr(RaggedTensor, f"__r{operator}__", lambda self, other, f=function: f(_like(other, self), self))
    for operator, name in comparisons.items():
        setattr(RaggedTensor, f"__{operator}__", lambda self, other, f=rules[name]: f(self, _like(other, self)))
    for operator, name in unary.items():
        setattr(RaggedTensor, f"__{operator}__", lambda self, f=rules[name]: f(self))
    RaggedTensor.__hash__ = None


def _like(other, ragged):
    """Python's numbers and arrays with the dtype of the ragged tensor."""
    from tenon import _tenon
    from tenon.composite import CompositeTensor
    if isinstance(other, (_tenon.Tensor, _tenon.VariableBase, CompositeTensor)):
        return other
    return _tenon.convert(other, None if hasattr(other, "dtype") else ragged.dtype, hint=True)
