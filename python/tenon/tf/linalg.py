"""Products of matrices and tensors, decompositions."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import is_number
from tenon.tf import arrays, elementwise, reductions


def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False, a_is_sparse=False,
           b_is_sparse=False, output_type=None, grad_a=False, grad_b=False, name=None):
    a = _tenon.convert(a, b.dtype if isinstance(b, _tenon.Tensor) and not hasattr(a, "dtype") else None)
    b = _tenon.convert(b, None if hasattr(b, "dtype") else a.dtype)
    if output_type is not None and _tenon.as_dtype(output_type) != a.dtype:
        return raw_ops.BatchMatMulV3(x=a, y=b, Tout=output_type, adj_x=transpose_a or adjoint_a,
                                     adj_y=transpose_b or adjoint_b, name=name)
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
    equation = equation.replace(" ", "")
    if "->" not in equation:
        # NumPy's rule: what is summed over stands twice; the rest in the order of the alphabet, behind the ellipsis.
        labels = equation.replace("...", "").replace(",", "")
        equation += "->" + ("..." if "..." in equation else "") + "".join(
            label for label in sorted(set(labels)) if labels.count(label) == 1)
    inputs = [_tenon.convert(x) for x in inputs]
    if len(inputs) <= 2:
        return raw_ops.Einsum(inputs=inputs, equation=equation)
    # The op takes two: the first ones are joined, keeping what others or the result still need.
    terms, result = equation.split("->")
    terms = terms.split(",")
    wanted = set("".join(terms[2:]) + result) - {"."}
    kept = ("..." if "..." in terms[0] + terms[1] else "") + "".join(
        label for label in sorted(set(terms[0] + terms[1])) if label in wanted)
    joined = raw_ops.Einsum(inputs=inputs[:2], equation=f"{terms[0]},{terms[1]}->{kept}")
    return einsum(f"{','.join([kept] + terms[2:])}->{result}", joined, *inputs[2:])


def tensordot(a, b, axes, name=None):
    """Sums over the axes of `a` and `b` that `axes` pairs: a number, or two lists."""
    a, b = _tenon.convert(a), _tenon.convert(b)
    ranks = a.shape.rank, b.shape.rank
    if is_number(axes):
        axes = list(range(ranks[0] - axes, ranks[0])), list(range(axes))
    summed = [[x] if is_number(x) else list(x) for x in axes]
    summed = [[i + r if i < 0 else i for i in x] for x, r in zip(summed, ranks)]
    kept = [[i for i in range(r) if i not in x] for x, r in zip(summed, ranks)]
    rows, columns = _dimensions(a, kept[0]), _dimensions(b, kept[1])
    inner = _product(_dimensions(a, summed[0]))
    left = arrays.reshape(arrays.transpose(a, kept[0] + summed[0]), [_product(rows), inner])
    right = arrays.reshape(arrays.transpose(b, summed[1] + kept[1]), [inner, _product(columns)])
    return arrays.reshape(raw_ops.MatMul(a=left, b=right), rows + columns)


def _dimensions(x, axes):
    """Dimensions as numbers, or as tensors where they are not known."""
    dynamic = None if x.shape.is_fully_defined() else arrays.shape(x)
    return [dynamic[i] if x.shape[i] is None else x.shape[i] for i in axes]


def _product(dimensions):
    product = 1
    for each in dimensions:
        product = each * product
    return product


def global_norm(t_list, name=None):
    """The Euclidean length of all tensors together; of IndexedSlices that of their rows."""
    parts = [getattr(t, "values", t) for t in t_list if t is not None]
    return raw_ops.Sqrt(x=2. * raw_ops.AddN(inputs=[raw_ops.L2Loss(t=_tenon.convert(part)) for part in parts]))


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


def diag(diagonal, name="diag", k=0, num_rows=-1, num_cols=-1, padding_value=0, align="RIGHT_LEFT"):
    diagonal = _tenon.convert(diagonal)
    padding = _tenon.convert(bool(padding_value) if diagonal.dtype.is_bool else padding_value, diagonal.dtype)
    return raw_ops.MatrixDiagV3(diagonal=diagonal, k=k, num_rows=num_rows, num_cols=num_cols, padding_value=padding,
                                align=align)


def diag_part(input, name="diag_part", k=0, padding_value=0, align="RIGHT_LEFT"):  # noqa: A002
    input = _tenon.convert(input)  # noqa: A001
    padding = _tenon.convert(bool(padding_value) if input.dtype.is_bool else padding_value, input.dtype)
    return raw_ops.MatrixDiagPartV3(input=input, k=k, padding_value=padding, align=align)


def band_part(input, num_lower, num_upper, name=None):  # noqa: A002
    return raw_ops.MatrixBandPart(input=_tenon.convert(input), num_lower=num_lower, num_upper=num_upper, name=name)


def inv(input, adjoint=False, name=None):  # noqa: A002
    return raw_ops.MatrixInverse(input=_tenon.convert(input), adjoint=adjoint, name=name)


def det(input, name=None):  # noqa: A002
    return raw_ops.MatrixDeterminant(input=_tenon.convert(input), name=name)


def solve(matrix, rhs, adjoint=False, name=None):
    return raw_ops.MatrixSolve(matrix=matrix, rhs=rhs, adjoint=adjoint, name=name)


def triangular_solve(matrix, rhs, lower=True, adjoint=False, name=None):
    return raw_ops.MatrixTriangularSolve(matrix=matrix, rhs=rhs, lower=lower, adjoint=adjoint, name=name)


def adjoint(matrix, name=None):
    matrix = _tenon.convert(matrix)
    rank = matrix.shape.rank
    return arrays.transpose(matrix, list(range(rank - 2)) + [rank - 1, rank - 2], conjugate=True)


def matrix_transpose(a, name=None, conjugate=False):
    rank = _tenon.convert(a).shape.rank
    return arrays.transpose(a, list(range(rank - 2)) + [rank - 1, rank - 2], conjugate=conjugate)


def cross(a, b, name=None):
    return raw_ops.Cross(a=a, b=b, name=name)


def slogdet(input, name=None):  # noqa: A002
    return raw_ops.LogMatrixDeterminant(input=_tenon.convert(input), name=name)


def logdet(matrix, name=None):
    """Of a Hermitian positive definite matrix."""
    chol = raw_ops.Cholesky(input=_tenon.convert(matrix))
    real = elementwise.real(diag_part(chol))
    return 2.0 * reductions.reduce_sum(raw_ops.Log(x=real), [-1])


def qr(input, full_matrices=False, name=None):  # noqa: A002
    return raw_ops.Qr(input=_tenon.convert(input), full_matrices=full_matrices, name=name)


def svd(tensor, full_matrices=False, compute_uv=True, name=None):
    s, u, v = raw_ops.Svd(input=_tenon.convert(tensor), compute_uv=compute_uv, full_matrices=full_matrices)
    return (s, u, v) if compute_uv else s


def lu(input, output_idx_type="int32", name=None):  # noqa: A002
    return raw_ops.Lu(input=_tenon.convert(input), output_idx_type=output_idx_type, name=name)


def eig(tensor, name=None):
    tensor = _tenon.convert(tensor)
    out = tensor.dtype if tensor.dtype.is_complex else "complex128" if tensor.dtype == "float64" else "complex64"
    e, v = raw_ops.Eig(input=tensor, compute_v=True, Tout=out)
    return e, v


def eigh(tensor, name=None):
    e, v = raw_ops.SelfAdjointEigV2(input=_tenon.convert(tensor), compute_v=True)
    return e, v


def eigvalsh(tensor, name=None):
    return raw_ops.SelfAdjointEigV2(input=_tenon.convert(tensor), compute_v=False)[0]


def matrix_rank(a, tol=None, validate_args=False, name=None):
    a = _tenon.convert(a)
    s = svd(a, compute_uv=False)
    if tol is None:
        rows, columns = a.shape[-2:]
        import numpy as np
        tol = np.finfo(a.dtype.real_dtype.as_numpy_dtype).eps * max(rows, columns) * reductions.reduce_max(
            s, axis=-1, keepdims=True)
    return reductions.reduce_sum(elementwise.cast(s > tol, "int32"), -1)


def pinv(a, rcond=None, validate_args=False, name=None):
    """The Moore-Penrose inverse; singular values below rcond times the largest count as zero."""
    a = _tenon.convert(a)
    if rcond is None:
        import numpy as np
        rcond = 10 * max(a.shape[-2:]) * np.finfo(a.dtype.as_numpy_dtype).eps
    s, u, v = svd(a)
    cutoff = elementwise.cast(rcond, a.dtype) * reductions.reduce_max(s, -1)
    infinite = _tenon.convert(float("inf"), s.dtype)
    s = raw_ops.SelectV2(condition=s > arrays.expand_dims(cutoff, -1), t=s, e=infinite)
    return matmul(v / arrays.expand_dims(s, -2), u, adjoint_b=True)


def set_diag(input, diagonal, name="set_diag", k=0, align="RIGHT_LEFT"):  # noqa: A002
    return raw_ops.MatrixSetDiagV3(input=_tenon.convert(input), diagonal=diagonal, k=k, align=align)


def cholesky(input, name=None):  # noqa: A002
    return raw_ops.Cholesky(input=_tenon.convert(input), name=name)


def l2_normalize(x, axis=None, epsilon=1e-12, name=None):
    x = _tenon.convert(x)
    total = reductions.reduce_sum(x * x, axis, True)
    return x * raw_ops.Rsqrt(x=raw_ops.Maximum(x=total, y=_tenon.convert(epsilon, x.dtype)))
