"""Functions of each element, and comparisons: the ops of one input or two under TensorFlow's names."""
import math

from tenon import _tenon, raw_ops
from tenon.tf import sparse_tensor as sparse

# Function name -> op of one input, whose keyword is `x`.
UNARY = {
    "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil",
    "cos": "Cos", "cosh": "Cosh", "digamma": "Digamma", "erf": "Erf", "erfc": "Erfc", "erfinv": "Erfinv", "exp": "Exp",
    "expm1": "Expm1", "floor": "Floor", "is_finite": "IsFinite", "is_inf": "IsInf", "is_nan": "IsNan", "lgamma": "Lgamma",
    "log": "Log", "log1p": "Log1p", "logical_not": "LogicalNot", "negative": "Neg", "reciprocal": "Reciprocal",
    "rint": "Rint", "round": "Round", "rsqrt": "Rsqrt", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "square": "Square", "tan": "Tan", "tanh": "Tanh", "bessel_i0": "BesselI0", "bessel_i0e": "BesselI0e", "bessel_i1": "BesselI1",
    "bessel_i1e": "BesselI1e", "ndtri": "Ndtri", "invert_permutation": "InvertPermutation"}
# Function name -> op of the inputs `x` and `y`.
BINARY = {
    "add": "AddV2", "subtract": "Sub", "multiply": "Mul", "floordiv": "FloorDiv", "floormod": "FloorMod", "pow": "Pow",
    "maximum": "Maximum", "minimum": "Minimum", "squared_difference": "SquaredDifference", "divide_no_nan": "DivNoNan",
    "multiply_no_nan": "MulNoNan", "xlogy": "Xlogy", "xdivy": "Xdivy", "greater": "Greater", "less": "Less",
    "greater_equal": "GreaterEqual", "less_equal": "LessEqual", "logical_and": "LogicalAnd", "logical_or": "LogicalOr",
    "truncatediv": "TruncateDiv", "truncatemod": "TruncateMod"}


def _define(name, op, names):
    def unary(x, name=None):
        return getattr(raw_ops, op)(x=x, name=name)

    def binary(x, y, name=None):
        if not isinstance(x, _tenon.Tensor):
            # TensorFlow converts x first, and y to its dtype.
            x = _tenon.convert(x, y.dtype if isinstance(y, (_tenon.Tensor, _tenon.VariableBase)) else None)
        return getattr(raw_ops, op)(x=x, y=y, name=name)

    function = unary if len(names) == 1 else binary
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The op {op}."
    globals()[name] = function


for _name, _op in UNARY.items():
    _define(_name, _op, "x")
for _name, _op in BINARY.items():
    _define(_name, _op, "xy")


def abs(x, name=None):  # noqa: A001: TensorFlow's name
    return _tenon.convert(x).__abs__()


def divide(x, y, name=None):
    return _tenon.convert(x) / y


truediv = divide
mod = globals()["floormod"]


def equal(x, y, name=None):
    return raw_ops.Equal(x=x, y=y, name=name)


def not_equal(x, y, name=None):
    return raw_ops.NotEqual(x=x, y=y, name=name)


def logical_xor(x, y, name="LogicalXor"):
    return raw_ops.NotEqual(x=_tenon.convert(x, "bool"), y=_tenon.convert(y, "bool"))


def nextafter(x1, x2, name=None):
    return raw_ops.NextAfter(x1=x1, x2=x2, name=name)


def igamma(a, x, name=None):
    return raw_ops.Igamma(a=a, x=x, name=name)


def igammac(a, x, name=None):
    return raw_ops.Igammac(a=a, x=x, name=name)


def zeta(x, q, name=None):
    return raw_ops.Zeta(x=x, q=q, name=name)


def polygamma(a, x, name=None):
    return raw_ops.Polygamma(a=a, x=x, name=name)


def log_sigmoid(x, name=None):
    return -raw_ops.Softplus(features=-_tenon.convert(x))


def add_n(inputs, name=None):
    return raw_ops.AddN(inputs=list(inputs) if isinstance(inputs, (list, tuple)) else [inputs], name=name)


def cast(x, dtype, name=None):
    dtype = _tenon.as_dtype(dtype)
    if isinstance(x, sparse.IndexedSlices):
        return sparse.IndexedSlices(cast(x.values, dtype), x.indices, x.dense_shape)
    x = _tenon.convert(x, dtype, hint=True) if isinstance(x, (bool, int, float)) else _tenon.convert(x)
    return x if x.dtype == dtype else raw_ops.Cast(x=x, DstT=dtype, name=name)


def saturate_cast(value, dtype, name=None):
    value, dtype = _tenon.convert(value), _tenon.as_dtype(dtype)
    import numpy as np
    if dtype.is_integer and not value.dtype.is_bool:
        limits = np.iinfo(dtype.as_numpy_dtype)
        value = clip_by_value(value, _tenon.convert(limits.min, value.dtype), _tenon.convert(limits.max, value.dtype))
    return cast(value, dtype)


def clip_by_value(t, clip_value_min, clip_value_max, name=None):
    if isinstance(t, sparse.IndexedSlices):
        return sparse.IndexedSlices(clip_by_value(t.values, clip_value_min, clip_value_max), t.indices, t.dense_shape)
    t = _tenon.convert(t)
    return raw_ops.Maximum(x=raw_ops.Minimum(x=t, y=clip_value_max), y=clip_value_min)


def clip_by_norm(t, clip_norm, axes=None, name=None):
    """`t`, made shorter where its Euclidean length is more than `clip_norm`."""
    from tenon.tf import reductions
    if isinstance(t, sparse.IndexedSlices):
        return sparse.IndexedSlices(clip_by_norm(t.values, clip_norm, axes), t.indices, t.dense_shape)
    t = _tenon.convert(t)
    total = reductions.reduce_sum(t * t, axes, keepdims=True)
    positive = total > 0
    length = raw_ops.SelectV2(condition=positive, t=raw_ops.Sqrt(
        x=raw_ops.SelectV2(condition=positive, t=total, e=raw_ops.OnesLike(x=total))), e=total)
    return t * clip_norm / raw_ops.Maximum(x=length, y=_tenon.convert(clip_norm, t.dtype))


def clip_by_global_norm(t_list, clip_norm, use_norm=None, name=None):
    """The tensors, made shorter together where their length is more than `clip_norm`, and that length."""
    from tenon.tf import linalg
    length = linalg.global_norm(t_list) if use_norm is None else use_norm
    clip_norm = _tenon.convert(clip_norm, length.dtype)
    # Nothing is a number any more where the length is not finite.
    scale = clip_norm * raw_ops.Minimum(x=1. / length, y=1. / clip_norm) + (length - length)
    return [t if t is None else _scaled(t, scale) for t in t_list], length


def _scaled(t, scale):
    if isinstance(t, sparse.IndexedSlices):
        return sparse.IndexedSlices(t.values * scale, t.indices, t.dense_shape)
    return _tenon.convert(t) * scale


def bitcast(input, type, name=None):  # noqa: A002: TensorFlow's names
    return raw_ops.Bitcast(input=_tenon.convert(input), type=_tenon.as_dtype(type))


def complex(real, imag, name=None):  # noqa: A001: TensorFlow's name
    real = _tenon.convert(real)
    out = "complex64" if real.dtype == "float32" else "complex128"
    return raw_ops.Complex(real=real, imag=imag, Tout=out)


def _part(op):
    def part(input, name=None):  # noqa: A002: TensorFlow's name
        input = _tenon.convert(input)
        return getattr(raw_ops, op)(input=input, Tout=input.dtype.real_dtype) if input.dtype.is_complex else input
    return part


real, imag = _part("Real"), _part("Imag")


def angle(input, name=None):  # noqa: A002
    input = _tenon.convert(input)
    if not input.dtype.is_complex:
        return raw_ops.SelectV2(condition=input < 0, t=_tenon.convert(math.pi, input.dtype), e=_tenon.convert(0, input.dtype))
    return raw_ops.Angle(input=input, Tout=input.dtype.real_dtype)


def conj(x, name=None):
    x = _tenon.convert(x)
    return raw_ops.Conj(input=x) if x.dtype.is_complex else x


def atan2(y, x, name=None):
    return raw_ops.Atan2(y=y, x=x, name=name)


def softplus(features, name=None):
    return raw_ops.Softplus(features=features, name=name)
