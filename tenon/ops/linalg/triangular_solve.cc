// MatrixTriangularSolve, BandedTriangularSolve: batches broadcast against each other.
#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

// Output [batch..., n, k] of a matrix with n columns and a right-hand side [..., n, k].
Status triangular_shape(ShapeContext& c, const PartialShape& matrix) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 2));
  const PartialShape& rhs = c.input(1);
  if (!matrix.has_rank() || !rhs.has_rank()) return unknown_shape(c);
  const int64_t n = matrix[matrix.rank() - 1], rows = rhs[rhs.rank() - 2];
  if (n >= 0 && rows >= 0 && n != rows) {
    return invalid_argument("matrix and right-hand side have ", n, " and ", rows, " rows");
  }
  const auto batch = broadcast_shapes(with_last_dims(matrix, 2, {}), with_last_dims(rhs, 2, {}));
  if (!batch.ok()) {
    return invalid_argument("inputs must have compatible batch dimensions, they have shapes ",
                            c.input(0), " and ", rhs);
  }
  c.set_output(0, with_last_dims(*batch, 0, {std::max(n, rows), rhs[rhs.rank() - 1]}));
  return absl::OkStatus();
}

Status triangular_solve_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape matrix, square_matrices(c, 0));
  return triangular_shape(c, matrix);
}

Status batch_triangular_solve_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(common_batch(c).status());
  return triangular_solve_shape(c);
}

Status banded_solve_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  return triangular_shape(c, c.input(0));
}

template <class T>
void solve_triangular(const Dense<T>& a, bool lower, bool adjoint, Dense<T>& x) {
  if (lower) {
    const auto view = a.template triangularView<Eigen::Lower>();
    adjoint ? view.adjoint().solveInPlace(x) : view.solveInPlace(x);
  } else {
    const auto view = a.template triangularView<Eigen::Upper>();
    adjoint ? view.adjoint().solveInPlace(x) : view.solveInPlace(x);
  }
}

StatusOr<Kernel> make_triangular_solve(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0)), rhs = matrices_of(p.input_shape(1));
  TENON_ASSIGN_OR_RETURN(const BatchPairs pairs,
                         BatchPairs::make(p.input_shape(0), p.input_shape(1)));
  const bool lower = p.attr<bool>("lower"), adjoint = p.attr<bool>("adjoint");
  const double work = static_cast<double>(m.size()) * static_cast<double>(rhs.columns) / 2;
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [=](KernelRun& r) {
      if (r.output(0).num_elements() == 0) return absl::OkStatus();
      return for_each_matrix(pairs.count(), work, [&](int64_t i) -> Status {
        const Dense<T> a = matrix_at<T>(r.input(0), m, pairs.first(i));
        Dense<T> x = matrix_at<T>(r.input(1), rhs, pairs.second(i));
        solve_triangular<T>(a, lower, adjoint, x);
        matrix_at<T>(r.output(0), rhs, i) = x;
        return absl::OkStatus();
      });
    };
  });
}

// A band of a triangular matrix A, row by row: row `diagonal` of `compact` is the diagonal, and
// column i of row `diagonal` + k holds A(i, i - k).
template <class T>
struct TriangularBand {
  const T* compact;
  int64_t bands, n, diagonal;

  // A(row, column), or, where `adjoint`, A^H(row, column); inside the band.
  T at(int64_t row, int64_t column, bool adjoint) const {
    if (adjoint) std::swap(row, column);
    const T value = compact[(row - column + diagonal) * n + row];
    if constexpr (Eigen::NumTraits<T>::IsComplex) {
      return adjoint ? std::conj(value) : value;
    } else {
      return value;
    }
  }
};

// Substitution: each row of x from those before it (after it, when the matrix solved is upper).
template <class T>
void solve_band(const TriangularBand<T>& a, bool forward, bool adjoint, const T* b, int64_t columns,
                T* x) {
  for (int64_t step = 0; step < a.n; ++step) {
    const int64_t i = forward ? step : a.n - 1 - step;
    T* row = x + i * columns;
    std::copy_n(b + i * columns, columns, row);
    const int64_t known = std::min(step, a.bands - 1);
    for (int64_t k = 1; k <= known; ++k) {
      const int64_t j = forward ? i - k : i + k;
      const T factor = a.at(i, j, adjoint);
      for (int64_t c = 0; c < columns; ++c) row[c] -= factor * x[j * columns + c];
    }
    const T pivot = a.at(i, i, adjoint);
    for (int64_t c = 0; c < columns; ++c) row[c] /= pivot;
  }
}

StatusOr<Kernel> make_banded_solve(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0)), rhs = matrices_of(p.input_shape(1));
  if (p.input_shape(0).num_elements() == 0 || p.input_shape(1).num_elements() == 0) {
    return invalid_argument("inputs must not be empty, their shapes are ", p.input_shape(0),
                            " and ", p.input_shape(1));
  }
  TENON_ASSIGN_OR_RETURN(const BatchPairs pairs,
                         BatchPairs::make(p.input_shape(0), p.input_shape(1)));
  const bool lower = p.attr<bool>("lower"), adjoint = p.attr<bool>("adjoint");
  const int64_t diagonal = lower ? 0 : m.rows - 1;
  const double work = static_cast<double>(m.size()) * static_cast<double>(rhs.columns);
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [=](KernelRun& r) -> Status {
      // TensorFlow looks at the first matrix only: the others may give infinities.
      for (int64_t j = 0; j < m.columns; ++j) {
        if (!(std::abs(r.in<T>(0)[diagonal * m.columns + j]) > RealOf<T>(0))) {
          return invalid_argument("Input matrix is not invertible.");
        }
      }
      return for_each_matrix(pairs.count(), work, [&](int64_t i) -> Status {
        const TriangularBand<T> band{r.in<T>(0) + pairs.first(i) * m.size(), m.rows, m.columns,
                                     diagonal};
        solve_band<T>(band, lower != adjoint, adjoint, r.in<T>(1) + pairs.second(i) * rhs.size(),
                      rhs.columns, r.out<T>(0) + i * rhs.size());
        return absl::OkStatus();
      });
    };
  });
}

// Of A X = B: B' = A^-H X', A' = -B' X^H, or of the adjoint -X B'^H.
struct SolveSlopes {
  Endpoint a, b;
};
SolveSlopes solve_slopes(Gradient& g, MatrixGraph& m) {
  const bool adjoint = g.attr<bool>("adjoint");
  const Endpoint x = g.output(0);
  const Endpoint db = m.b.op(g.forward().op->name(), {g.input(0), g.dy()},
                             {{"lower", g.attr<bool>("lower")}, {"adjoint", !adjoint}});
  return {m.b.neg(adjoint ? m.mul(x, db, false, true) : m.mul(db, x, false, true)), db};
}

// linalg_grad.py: _MatrixTriangularSolveGrad, _BandedTriangularSolveGrad.
Status triangular_solve_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  const SolveSlopes slopes = solve_slopes(g, m);
  g.set_dx_broadcast(0, g.attr<bool>("lower") ? m.lower(slopes.a) : m.upper(slopes.a));
  g.set_dx_broadcast(1, slopes.b);
  return absl::OkStatus();
}
Status banded_solve_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  const SolveSlopes slopes = solve_slopes(g, m);
  const Endpoint one = m.b.scalar(int32_t{1});
  const Endpoint bands = m.b.dim(g.input(0), -2);
  const Endpoint beside = m.b.sub(bands, one), none = m.b.sub(one, one);
  const bool lower = g.attr<bool>("lower");
  const Endpoint range = m.b.op("Pack", lower ? std::vector<Endpoint>{m.b.neg(beside), none}
                                              : std::vector<Endpoint>{none, beside});
  const Endpoint zero = m.b.cast(m.b.scalar(0.0), g.input_dtype(0));
  g.set_dx_broadcast(0, m.b.op("MatrixDiagPartV3", {slopes.a, range, zero},
                               {{"align", std::string("LEFT_RIGHT")}}));
  g.set_dx_broadcast(1, slopes.b);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MatrixTriangularSolve) = {
    .inputs = "matrix: T, rhs: T",
    .outputs = "output: T",
    .attrs =
        "lower: bool = true; adjoint: bool = false; "
        "T: {bfloat16, double, float, half, complex64, complex128}",
    .shape = triangular_solve_shape,
    .gradient = triangular_solve_gradient,
    .kernels = {make_triangular_solve},
};
TENON_OP(BatchMatrixTriangularSolve) = {
    .inputs = "matrix: T, rhs: T",
    .outputs = "output: T",
    .attrs = "lower: bool = true; adjoint: bool = false; T: {double, float}",
    .shape = batch_triangular_solve_shape,
    .gradient = not_differentiable,
    .kernels = {make_triangular_solve},
};
TENON_OP(BandedTriangularSolve) = {
    .inputs = "matrix: T, rhs: T",
    .outputs = "output: T",
    .attrs =
        "lower: bool = true; adjoint: bool = false; T: {double, float, half, complex64, "
        "complex128}",
    .shape = banded_solve_shape,
    .gradient = banded_solve_gradient,
    .kernels = {make_banded_solve},
};

}  // namespace tenon
