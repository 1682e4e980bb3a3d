"""Functions of tf.math that are made of several ops, and those of tf.math.special."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, missing, reductions

_SPECIAL = {name: "".join(part.capitalize() for part in name.split("_")) for name in (
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "bessel_j0", "bessel_j1", "bessel_k0", "bessel_k0e", "bessel_k1",
    "bessel_k1e", "bessel_y0", "bessel_y1", "dawsn", "expint", "fresnel_cos", "fresnel_sin", "spence")}


def _unary(name, op):
    def function(x, name=None):
        return getattr(raw_ops, op)(x=x, name=name)

    function.__name__ = function.__qualname__ = name
    return function


special = missing.namespace("tf.math.special", {name: _unary(name, op) for name, op in _SPECIAL.items()})


def zero_fraction(value, name=None):
    """The share of zeros among the elements."""
    value = _tenon.convert(value)
    zeros = elementwise.cast(raw_ops.Equal(x=value, y=raw_ops.ZerosLike(x=value)), "float32")
    return reductions.reduce_mean(zeros)


def cumulative_logsumexp(x, axis=0, exclusive=False, reverse=False, name=None):
    return raw_ops.CumulativeLogsumexp(x=x, axis=axis, exclusive=exclusive, reverse=reverse, name=name)


def _steps(x):
    flat = arrays.reshape(_tenon.convert(x), [-1])
    return flat[1:] - flat[:-1]


def is_non_decreasing(x, name=None):
    return reductions.reduce_all(_steps(x) >= 0)


def is_strictly_increasing(x, name=None):
    return reductions.reduce_all(_steps(x) > 0)


def reciprocal_no_nan(x, name=None):
    x = _tenon.convert(x)
    return raw_ops.DivNoNan(x=_tenon.convert(1, x.dtype), y=x, name=name)


def polyval(coeffs, x, name=None):
    """The polynomial of these coefficients, highest power first."""
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    x = _tenon.convert(x)
    if not coeffs:
        return raw_ops.ZerosLike(x=x)
    value = _tenon.convert(coeffs[0], None if hasattr(coeffs[0], "dtype") else x.dtype)
    for coefficient in coeffs[1:]:
        value = coefficient + value * x
    return value


def lbeta(x, name=None):
    """log(|Beta(x)|) along the last axis."""
    x = _tenon.convert(x)
    return reductions.reduce_sum(raw_ops.Lgamma(x=x), [-1]) - raw_ops.Lgamma(x=reductions.reduce_sum(x, [-1]))


def betainc(a, b, x, name=None):
    given = next((v.dtype for v in (a, b, x) if hasattr(v, "dtype")), "float32")
    return raw_ops.Betainc(a=_tenon.convert(a, given), b=_tenon.convert(b, given), x=_tenon.convert(x, given), name=name)


def xlog1py(x, y, name=None):
    return raw_ops.Xlog1py(x=_tenon.convert(x, getattr(y, "dtype", None)), y=y, name=name)


def erfcinv(x, name=None):
    x = _tenon.convert(x)
    return -raw_ops.Ndtri(x=0.5 * x) * _tenon.convert(0.5 ** 0.5, x.dtype)


def scalar_mul(scalar, x, name=None):
    x = _tenon.convert(x)
    return _tenon.convert(scalar, x.dtype) * x


def accumulate_n(inputs, shape=None, tensor_dtype=None, name=None):
    return elementwise.add_n(inputs)


def softsign(features, name=None):
    return raw_ops.Softsign(features=features, name=name)


def realdiv(x, y, name=None):
    return elementwise.divide(x, y)


def _segment_sizes(data, segment_ids, num_segments):
    """How many rows fall to each segment, at least one, to divide the rows of sums by."""
    ids = _tenon.convert(segment_ids)
    ones = elementwise.cast(raw_ops.OnesLike(x=ids), data.dtype)
    sizes = raw_ops.UnsortedSegmentSum(data=ones, segment_ids=ids, num_segments=num_segments)
    inner = data.shape.rank - ids.shape.rank
    if inner:
        sizes = arrays.reshape(sizes, [-1] + [1] * inner)
    return raw_ops.Maximum(x=sizes, y=_tenon.convert(1, data.dtype))


def unsorted_segment_mean(data, segment_ids, num_segments, name=None):
    data = _tenon.convert(data)
    sums = raw_ops.UnsortedSegmentSum(data=data, segment_ids=segment_ids, num_segments=num_segments)
    return sums / _segment_sizes(data, segment_ids, num_segments)


def unsorted_segment_sqrt_n(data, segment_ids, num_segments, name=None):
    data = _tenon.convert(data)
    sums = raw_ops.UnsortedSegmentSum(data=data, segment_ids=segment_ids, num_segments=num_segments)
    return sums / raw_ops.Sqrt(x=_segment_sizes(data, segment_ids, num_segments))


def approx_min_k(operand, k, reduction_dimension=-1, recall_target=0.95, reduction_input_size_override=-1,
                 aggregate_to_topk=True, name=None):
    return raw_ops.ApproxTopK(input=operand, k=k, reduction_dimension=reduction_dimension, recall_target=recall_target,
                              is_max_k=False, reduction_input_size_override=reduction_input_size_override,
                              aggregate_to_topk=aggregate_to_topk)
