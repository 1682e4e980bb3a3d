#!/usr/bin/env python3
"""What TensorFlow computes for linear algebra and Fourier transforms, all CPU dtypes.

    op_values_linalg.py tenon/ops/testdata/linalg_values.jsonl --few

Cases as op_values.py makes them (all without --few), small enough to be kept; "relative" and "scale" say how near the
answer must be: decompositions agree to the precision of the whole result, not of each element.
"""
import sys

import numpy as np
import tensorflow as tf

from op_values import Sweep, keep_few

REAL = [np.float32, np.float64]
COMPLEX = [np.complex64, np.complex128]
FLOATS = REAL + COMPLEX


class Matrices:
    """Made-up matrices, the same ones every time."""

    def __init__(self):
        self.random = np.random.RandomState(7)

    def any(self, dtype, *shape):
        x = self.random.uniform(-1, 1, shape)
        if np.dtype(dtype).kind == "c":
            x = x + 1j * self.random.uniform(-1, 1, shape)
        return x.astype(dtype)

    def regular(self, dtype, *shape):
        """Square, far from singular."""
        return (self.any(dtype, *shape) + 2 * np.eye(shape[-1])).astype(dtype)

    def positive(self, dtype, *shape):
        x = self.any(dtype, *shape)
        return (x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1])).astype(dtype)

    def separated(self, dtype, *shape):
        """Hermitian, its eigenvalues about one apart."""
        x = self.any(dtype, *shape)
        x = 0.1 * (x + np.conj(np.swapaxes(x, -1, -2)))
        return (x + np.diag(np.arange(shape[-1]) + 1)).astype(dtype)


def near(dtype, scale=1.0, factor=1.0):
    bytes_of_part = np.dtype(dtype).itemsize // (2 if np.dtype(dtype).kind == "c" else 1)
    return {"relative": factor * {2: 4e-3, 4: 2e-5, 8: 1e-10}[bytes_of_part], "scale": float(scale)}


def sweep_square(sweep, made):
    for dtype in FLOATS:
        how = near(dtype)
        shapes = [(3, 3), (2, 4, 4), (2, 1, 1, 1), (0, 3, 3), (2, 0, 0), (17, 17)]
        for shape in shapes:
            sweep.run("Cholesky", [made.positive(dtype, *shape)], note=how)
            x = made.regular(dtype, *shape)
            sweep.run("MatrixDeterminant", [x], note=how)
            sweep.run("LogMatrixDeterminant", [x], note=how)
            sweep.run("MatrixExponential", [0.3 * x], note=near(dtype, 10))
            for adjoint in (False, True):
                sweep.run("MatrixInverse", [x], {"adjoint": adjoint}, note=how)
                for k in (1, 2, 0):
                    rhs = made.any(dtype, *shape[:-1], k)
                    sweep.run("MatrixSolve", [x, rhs], {"adjoint": adjoint}, note=how)
                    for lower in (False, True):
                        attrs = {"adjoint": adjoint, "lower": lower}
                        sweep.run("MatrixTriangularSolve", [x, rhs], attrs, note=near(dtype, 10))
            sweep.run("MatrixSquareRoot", [made.positive(dtype, *shape)], note=near(dtype, 1, 5))
            if dtype in COMPLEX:
                sweep.run("MatrixLogarithm", [made.positive(dtype, *shape)], note=near(dtype, 1, 10))
            for index in (tf.int32, tf.int64):
                sweep.run("Lu", [x], {"output_idx_type": index}, note=how)
        for a, b in [((3, 3), (2, 3, 1)), ((4, 1, 2, 2), (3, 2, 3)), ((2, 3, 3), (3, 3, 1))]:
            x, rhs = made.regular(dtype, *a), made.any(dtype, *b)
            sweep.run("MatrixTriangularSolve", [x, rhs], note=near(dtype, 10))
            sweep.run("MatrixSolve", [x, rhs], note=how)
        singular = np.array([[1, 2], [2, 4]], dtype)
        zero = np.array([[0, 0], [1, 1]], dtype)
        for x in (singular, zero, np.array([[np.nan, 1], [1, 2]], dtype),
                  np.array([[np.inf, 1], [1, 2]], dtype), -np.eye(2, dtype=dtype)):
            for op in ("MatrixDeterminant", "LogMatrixDeterminant", "MatrixInverse", "Lu"):
                # What is left of an infinite complex number hangs on how a library divides.
                if np.isfinite(x).all() or dtype in REAL or op == "MatrixInverse":
                    sweep.run(op, [x], note=how)
            sweep.run("MatrixSolve", [x, np.ones((2, 1), dtype)], note=how)
            sweep.run("MatrixTriangularSolve", [x, np.ones((2, 1), dtype)], note=how)
        for op in ("Cholesky", "MatrixInverse", "MatrixDeterminant", "Lu", "MatrixSquareRoot"):
            sweep.run(op, [made.any(dtype, 2, 3)])
            sweep.run(op, [made.any(dtype, 2)])
        sweep.run("MatrixSolve", [made.regular(dtype, 2, 2), made.any(dtype, 3, 1)])
    for dtype in REAL:
        for shape in [(3, 3), (2, 2, 2), (0, 2, 2)]:
            l = np.linalg.cholesky(made.positive(dtype, *shape)) if 0 not in shape else made.any(dtype, *shape)
            sweep.run("CholeskyGrad", [l.astype(dtype), made.any(dtype, *shape)], note=near(dtype))
    half = made.regular(np.float32, 2, 3, 3).astype(np.float16)
    sweep.run("MatrixInverse", [half], note=near(np.float16, 1, 4))


def sweep_decompositions(sweep, made):
    for dtype in FLOATS:
        how = near(dtype)
        for shape in [(3, 3), (2, 4, 3), (2, 3, 5), (1, 1), (0, 2, 2), (3, 0), (0, 3), (20, 18)]:
            x = made.any(dtype, *shape)
            for full in (False, True):
                sweep.run("Qr", [x], {"full_matrices": full}, note=how)
                for vectors in (False, True):
                    # Vectors are decided up to a phase.
                    if vectors and min(shape[-2:]) > 0:
                        continue
                    sweep.run("Svd", [x], {"full_matrices": full, "compute_uv": vectors}, note=how)
        for shape in [(3, 3), (2, 4, 4), (1, 1), (2, 0, 0), (0, 2, 2), (17, 17)]:
            x = made.separated(dtype, *shape)
            sweep.run("SelfAdjointEigV2", [x], {"compute_v": False}, note=near(dtype, shape[-1]))
            out = tf.complex64 if dtype in (np.float32, np.complex64) else tf.complex128
            # Float and double find eigenvalues in different orders.
            if shape[-1] < 4 and out == tf.complex128:
                sweep.run("Eig", [x], {"compute_v": False, "Tout": out}, note=near(dtype, shape[-1]))
        bad = np.array([[np.nan, 1], [1, 2]], dtype)
        for op, attrs in [("Svd", {"compute_uv": False}), ("Qr", {}),
                          ("SelfAdjointEigV2", {"compute_v": False})]:
            sweep.run(op, [bad], attrs, note=how)
            sweep.run(op, [made.any(dtype, 3)], attrs)
        sweep.run("SelfAdjointEigV2", [made.any(dtype, 2, 3)])


def sweep_least_squares(sweep, made):
    for dtype in FLOATS:
        for a, k in [((4, 2), 1), ((2, 4), 2), ((2, 3, 3), 1), ((0, 3, 2), 1), ((3, 0), 2),
                     ((2, 3, 2), 0)]:
            x, rhs = made.any(dtype, *a), made.any(dtype, *a[:-1], k)
            for l2 in (0.0, 0.5):
                for fast in (True, False):
                    sweep.run("MatrixSolveLs", [x, rhs, np.float64(l2)], {"fast": fast},
                              note=near(dtype, 10, 10))
        flat = np.array([[1, 2], [2, 4], [3, 6]], dtype)
        sweep.run("MatrixSolveLs", [flat, np.ones((3, 1), dtype), np.float64(0)], {"fast": False},
                  note=near(dtype))
        sweep.run("MatrixSolveLs", [flat, np.ones((3, 1), dtype), np.float64(-1)], {"fast": True})
        sweep.run("MatrixSolveLs", [flat, np.ones((2, 1), dtype), np.float64(0)], {"fast": True})


def sweep_bands(sweep, made):
    for dtype in FLOATS:
        for batch in [(), (2,), (0,)]:
            for n, k in [(1, 1), (2, 2), (5, 1), (4, 3), (0, 2), (3, 0)]:
                rhs = made.any(dtype, *batch, n, k)
                diagonals = made.any(dtype, *batch, 3, n)
                hard = diagonals.copy()
                diagonals[..., 1, :] += 3
                if n > 1:
                    hard[..., 1, 0] = 0  # needs an exchange
                for x in (diagonals, hard):
                    for pivoting, perturb in [(True, False), (False, False), (True, True)]:
                        if perturb and k == 0:  # TensorFlow ends the process
                            continue
                        sweep.run("TridiagonalSolve", [x, rhs],
                                  {"partial_pivoting": pivoting, "perturb_singular": perturb},
                                  note=near(dtype, 10, 5))
                parts = [diagonals[..., i:i + 1, :] for i in range(3)]
                sweep.run("TridiagonalMatMul", parts + [rhs], note=near(dtype))
                for bands in range(1, min(n, 3) + 1):
                    band = made.any(dtype, *batch, bands, n)
                    band[..., 0, :] += 2
                    band[..., -1, :] += 2
                    for lower in (False, True):
                        for adjoint in (False, True):
                            sweep.run("BandedTriangularSolve", [band, rhs],
                                      {"lower": lower, "adjoint": adjoint}, note=near(dtype, 10))
        zeros = np.zeros((3, 3), dtype)
        for perturb in (False, True):
            sweep.run("TridiagonalSolve", [zeros, np.ones((3, 1), dtype)], {"perturb_singular": perturb},
                      note=near(dtype, 1, 100))
        sweep.run("TridiagonalSolve", [zeros, np.ones((3, 1), dtype)],
                  {"partial_pivoting": False, "perturb_singular": True})
        sweep.run("TridiagonalSolve", [zeros[:2], np.ones((3, 1), dtype)])
        sweep.run("TridiagonalSolve", [zeros, np.ones((2, 1), dtype)])
        sweep.run("TridiagonalMatMul", [zeros[:1], zeros[:1], zeros[:1, :2], np.ones((3, 1), dtype)])
        band = made.any(dtype, 2, 3) + np.array(2, dtype)
        sweep.run("BandedTriangularSolve", [band, made.any(dtype, 2, 3, 1)], note=near(dtype, 10))
        sweep.run("BandedTriangularSolve", [zeros, np.ones((3, 1), dtype)])
        sweep.run("BandedTriangularSolve", [band, np.ones((2, 1), dtype)])


def sweep_cross(sweep, made):
    kinds = [np.float16, tf.bfloat16.as_numpy_dtype, np.float32, np.float64, np.int8, np.int16, np.int32,
             np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
    for dtype in kinds:
        for shape in [(3,), (2, 3), (2, 0, 3), (4, 1, 3)]:
            a = made.random.randint(0, 100, shape).astype(dtype)
            b = made.random.randint(0, 100, shape).astype(dtype)
            sweep.run("Cross", [a, b])
        sweep.run("Cross", [np.ones(2, dtype), np.ones(2, dtype)])
        sweep.run("Cross", [np.ones(3, dtype), np.ones((1, 3), dtype)])
        sweep.run("Cross", [np.ones((), dtype), np.ones((), dtype)])


def sweep_fourier(sweep, made):
    lengths = [(1,), (2,), (5,), (8,), (12,), (17,), (211,)]
    for dtype in COMPLEX:
        real = np.float32 if dtype == np.complex64 else np.float64
        forward, back = {"Tcomplex": tf.as_dtype(dtype)}, {"Treal": tf.as_dtype(real)}
        for rank, suffix in [(1, ""), (2, "2D"), (3, "3D")]:
            shapes = {1: lengths + [(2, 6), (2, 3, 4)],
                      2: [(4, 6), (3, 5), (2, 3, 4), (2, 1)],
                      3: [(2, 3, 4), (2, 2, 5, 3)]}[rank]
            for shape in shapes:
                how = near(dtype, max(1.0, np.prod(shape[-rank:]) ** 0.5))
                x = made.any(dtype, *shape)
                sweep.run("FFT" + suffix, [x], note=how)
                sweep.run("IFFT" + suffix, [x], note=how)
                for change in [(0,) * rank, (2,) + (0,) * (rank - 1), (0,) * (rank - 1) + (-1,)]:
                    # Of length 0 TensorFlow ends the process.
                    size = np.array([max(1, n + d) for n, d in zip(shape[-rank:], change)], np.int32)
                    sweep.run("RFFT" + suffix, [x.real.astype(real), size], forward, note=how)
                    sweep.run("IRFFT" + suffix, [x, size], back, note=how)
                    size[-1] = max(1, 2 * (size[-1] - 1))
                    sweep.run("IRFFT" + suffix, [x, size], back, note=how)
            one = made.any(dtype, *([4] * (rank - 1))) if rank > 1 else np.array(1, dtype)
            sweep.run("FFT" + suffix, [one])
            sweep.run("RFFT" + suffix, [one.real.astype(real), np.full(rank, 2, np.int32)], forward)
            x = made.any(dtype, *([4] * rank))
            # Too long; no length, of what is empty (else TensorFlow ends the process); no such length.
            for size in ([5] * rank, [3] * (rank + 1), [-1] * rank, [[2] * rank]):
                sweep.run("RFFT" + suffix, [x.real.astype(real), np.array(size, np.int32)], forward)
                sweep.run("IRFFT" + suffix, [x, np.array(size, np.int32)], back)
            for shape in [(0,) * rank, (2,) + (0,) * rank, (0,) + (4,) * rank, (2, 3)[:rank - 1] + (0,)]:
                x = np.zeros(shape, dtype)
                sweep.run("FFT" + suffix, [x])
                sweep.run("IFFT" + suffix, [x])
                # What is not there TensorFlow reads from memory that nobody wrote: only empty results.
                for size in [[0] * rank] + [[3] * rank] * (shape[0] == 0 and len(shape) > rank):
                    sweep.run("RFFT" + suffix, [x.real.astype(real), np.array(size, np.int32)], forward)
            endless = np.ones((2,) + (1,) * (rank - 1) + (5,), dtype)
            for value in (np.inf, np.nan):
                for length in (1, 2, 3, 4, 5):
                    x = endless[..., :length].copy()
                    x[1, ..., -1] = value
                    sweep.run("FFT" + suffix, [x])
                    sweep.run("IFFT" + suffix, [x])
                    size = np.array([1] * (rank - 1) + [length], np.int32)
                    sweep.run("RFFT" + suffix, [x.real.astype(real), size], forward)


def main():
    sweep, made = Sweep(sys.argv[1]), Matrices()
    for one in (sweep_square, sweep_decompositions, sweep_least_squares, sweep_bands, sweep_cross,
                sweep_fourier):
        one(sweep, made)
    sweep.file.close()
    print(sweep.count, "cases")
    if "--few" in sys.argv:
        keep_few(sys.argv[1])


if __name__ == "__main__":
    main()
