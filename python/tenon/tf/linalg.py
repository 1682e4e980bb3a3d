"""Products of matrices and tensors, decompositions."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, reductions


def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False, a_is_sparse=False,
           b_is_sparse=False, output_type=None, grad_a=False, grad_b=False, name=None):
    a = _tenon.convert(a, b.dtype if isinstance(b, _tenon.Tensor) and not hasattr(a, "dtype") else None)
    b = _tenon.convert(b, None if hasattr(b, "dtype") else a.dtype)
    if a.shape.rank == 2 and b.shape.rank == 2 and not (adjoint_a or adjoint_b):
        return raw_ops.MatMul(a=a, b=b, transpose_a=transpose_a, transpose_b=transpose_b, name=name)
    if transpose_a and a.dtype.is_complex:
        a, transpose_a = raw_ops.Conj(input=a), True
    if transpose_b and b.dtype.is_complex:
        b, transpose_b = raw_ops.Conj(input=b), True
    return raw_ops.BatchMatMulV2(x=a, y=b, adj_x=transpose_a or adjoint_a, adj_y=transpose_b or adjoint_b, name=name)


def matvec(a, b, transpose_a=False, name=None):
    return arrays.squeeze(matmul(a, arrays.expand_dims(b, -1), transpose_a), -1)


def einsum(equation, *inputs, **_):
    return raw_ops.Einsum(inputs=list(inputs), equation=equation)


def tensordot(a, b, axes, name=None):
    """Sums over the axes of `a` and `b` that `axes` pairs: a number, or two lists."""
    a, b = _tenon.convert(a), _tenon.convert(b)
    ranks = a.shape.rank, b.shape.rank
    if hasattr(axes, "__index__"):
        axes = list(range(ranks[0] - axes, ranks[0])), list(range(axes))
    summed = [[x] if hasattr(x, "__index__") else list(x) for x in axes]
    summed = [[i + r if i < 0 else i for i in x] for x, r in zip(summed, ranks)]
    kept = [[i for i in range(r) if i not in x] for x, r in zip(summed, ranks)]
    dims = [arrays.shape(a), arrays.shape(b)]
    rows = arrays.gather(dims[0], _tenon.convert(kept[0], "int32"))
    columns = arrays.gather(dims[1], _tenon.convert(kept[1], "int32"))
    inner = reductions.reduce_prod(arrays.gather(dims[0], _tenon.convert(summed[0], "int32")))
    left = arrays.reshape(arrays.transpose(a, kept[0] + summed[0]), raw_ops.Pack(values=[
        reductions.reduce_prod(rows), inner]))
    right = arrays.reshape(arrays.transpose(b, summed[1] + kept[1]), raw_ops.Pack(values=[
        inner, reductions.reduce_prod(columns)]))
    return arrays.reshape(raw_ops.MatMul(a=left, b=right), raw_ops.ConcatV2(values=[rows, columns], axis=0))


def norm(tensor, ord="euclidean", axis=None, keepdims=None, name=None):  # noqa: A002: TensorFlow's name
    x = abs(_tenon.convert(tensor))
    keepdims = bool(keepdims)
    if ord in ("euclidean", "fro", 2):
        return raw_ops.Sqrt(x=reductions.reduce_sum(x * x, axis, keepdims))
    if ord == 1:
        return reductions.reduce_sum(x, axis, keepdims)
    if ord == float("inf"):
        return reductions.reduce_max(x, axis, keepdims)
    power = _tenon.convert(ord, x.dtype)
    return reductions.reduce_sum(x ** power, axis, keepdims) ** (1. / power)


def trace(x, name=None):
    return reductions.reduce_sum(diag_part(x), -1)


def diag(diagonal, name="diag"):
    return raw_ops.MatrixDiag(diagonal=diagonal)


def diag_part(input, name="diag_part"):  # noqa: A002
    return raw_ops.MatrixDiagPart(input=_tenon.convert(input))


def band_part(input, num_lower, num_upper, name=None):  # noqa: A002
    return raw_ops.MatrixBandPart(input=_tenon.convert(input), num_lower=num_lower, num_upper=num_upper, name=name)


def inv(input, adjoint=False, name=None):  # noqa: A002
    return raw_ops.MatrixInverse(input=_tenon.convert(input), adjoint=adjoint, name=name)


def det(input, name=None):  # noqa: A002
    return raw_ops.MatrixDeterminant(input=_tenon.convert(input), name=name)


def solve(matrix, rhs, adjoint=False, name=None):
    return raw_ops.MatrixSolve(matrix=matrix, rhs=rhs, adjoint=adjoint, name=name)


def cholesky(input, name=None):  # noqa: A002
    return raw_ops.Cholesky(input=_tenon.convert(input), name=name)


def l2_normalize(x, axis=None, epsilon=1e-12, name=None):
    x = _tenon.convert(x)
    total = reductions.reduce_sum(x * x, axis, True)
    return x * raw_ops.Rsqrt(x=raw_ops.Maximum(x=total, y=_tenon.convert(epsilon, x.dtype)))
