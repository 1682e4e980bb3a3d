"""tf.linalg: solving with decompositions, functions of matrices, bands."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, linalg


def cholesky_solve(chol, rhs, name=None):
    """Solves A x = rhs by the Cholesky factor of A."""
    half = linalg.triangular_solve(chol, rhs, lower=True)
    return linalg.triangular_solve(chol, half, lower=True, adjoint=True)


def lstsq(matrix, rhs, l2_regularizer=0.0, fast=True, name=None):
    return raw_ops.MatrixSolveLs(matrix=_tenon.convert(matrix), rhs=rhs, l2_regularizer=_tenon.convert(l2_regularizer, "float64"),
                                 fast=fast)


def expm(input, name=None):  # noqa: A002: TensorFlow's name
    return raw_ops.MatrixExponential(input=_tenon.convert(input), name=name)


def logm(input, name=None):  # noqa: A002
    return raw_ops.MatrixLogarithm(input=_tenon.convert(input), name=name)


def sqrtm(input, name=None):  # noqa: A002
    return raw_ops.MatrixSquareRoot(input=_tenon.convert(input), name=name)


def eigvals(tensor, name=None):
    tensor = _tenon.convert(tensor)
    wide = "complex128" if tensor.dtype in ("float64", "complex128") else "complex64"
    return raw_ops.Eig(input=tensor, compute_v=False, Tout=wide)[0]


def normalize(tensor, ord="euclidean", axis=None, name=None):  # noqa: A002
    """The tensor divided by its norm, and the norm."""
    tensor = _tenon.convert(tensor)
    length = elementwise.cast(linalg.norm(tensor, ord, axis, keepdims=True), tensor.dtype)
    return tensor / length, length


def _lower_upper(lower_upper):
    lower_upper = _tenon.convert(lower_upper)
    lower = linalg.band_part(lower_upper, -1, 0)
    ones = raw_ops.OnesLike(x=linalg.diag_part(lower_upper))
    return linalg.set_diag(lower, ones), linalg.band_part(lower_upper, 0, -1)


def lu_solve(lower_upper, perm, rhs, validate_args=False, name=None):
    """Solves A x = rhs by what linalg.lu() says of A."""
    rhs, perm = _tenon.convert(rhs), _tenon.convert(perm)
    lower, upper = _lower_upper(lower_upper)
    rows = arrays.gather(rhs, perm, axis=-2, batch_dims=perm.shape.rank - 1)
    return linalg.triangular_solve(upper, linalg.triangular_solve(lower, rows, lower=True), lower=False)


def lu_reconstruct(lower_upper, perm, validate_args=False, name=None):
    lower, upper = _lower_upper(lower_upper)
    perm = _tenon.convert(perm)
    back = arrays.argsort(perm, axis=-1)
    return arrays.gather(linalg.matmul(lower, upper), back, axis=-2, batch_dims=perm.shape.rank - 1)


def lu_matrix_inverse(lower_upper, perm, validate_args=False, name=None):
    lower_upper = _tenon.convert(lower_upper)
    shape = lower_upper.shape
    identity = arrays.eye(shape[-1], batch_shape=shape[:-2].as_list(), dtype=lower_upper.dtype)
    return lu_solve(lower_upper, perm, identity)


def tensor_diag(diagonal, name=None):
    return raw_ops.Diag(diagonal=_tenon.convert(diagonal), name=name)


def tensor_diag_part(input, name=None):  # noqa: A002
    return raw_ops.DiagPart(input=_tenon.convert(input), name=name)


def banded_triangular_solve(bands, rhs, lower=True, adjoint=False, name=None):
    return raw_ops.BandedTriangularSolve(matrix=_tenon.convert(bands), rhs=rhs, lower=lower, adjoint=adjoint)


def _three_diagonals(diagonals, layout):
    """Upper, main and lower diagonal as rows of one length."""
    if layout == "compact":
        return _tenon.convert(diagonals)
    if layout == "matrix":
        return linalg.diag_part(diagonals, k=(-1, 1), align="LEFT_RIGHT")
    if layout != "sequence":
        raise ValueError(f"Expected `diagonals_format` to be one of matrix, sequence, compact, got {layout}.")
    upper, main, lower = map(_tenon.convert, diagonals)
    rank, size = main.shape.rank, main.shape[-1]

    def padded(diagonal, before, after):
        return diagonal if diagonal.shape[-1] == size else arrays.pad(diagonal, [[0, 0]] * (rank - 1) + [[before, after]])

    return arrays.stack([padded(upper, 0, 1), main, padded(lower, 1, 0)], axis=-2)


def tridiagonal_solve(diagonals, rhs, diagonals_format="compact", transpose_rhs=False, conjugate_rhs=False, name=None,
                      partial_pivoting=True, perturb_singular=False):
    diagonals = _three_diagonals(diagonals, diagonals_format)
    rhs = _tenon.convert(rhs, diagonals.dtype)
    if conjugate_rhs:
        rhs = elementwise.conj(rhs)
    vector = rhs.shape.rank == diagonals.shape.rank - 1
    if vector:
        rhs = arrays.expand_dims(rhs, -1)
    elif transpose_rhs:
        rhs = linalg.matrix_transpose(rhs)
    solved = raw_ops.TridiagonalSolve(diagonals=diagonals, rhs=rhs, partial_pivoting=partial_pivoting,
                                      perturb_singular=perturb_singular)
    return arrays.squeeze(solved, -1) if vector else solved


def tridiagonal_matmul(diagonals, rhs, diagonals_format="compact", name=None):
    diagonals = _three_diagonals(diagonals, diagonals_format)
    upper, main, lower = (diagonals[..., i:i + 1, :] for i in range(3))
    return raw_ops.TridiagonalMatMul(superdiag=upper, maindiag=main, subdiag=lower, rhs=rhs)
