// TridiagonalSolve, TridiagonalMatMul: matrices as three diagonals [super, main, sub], the last
// element of the first and the first element of the last one ignored.
#include "tenon/ops/linalg/matrices.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

Status tridiagonal_solve_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 2));
  if (c.attr<bool>("perturb_singular") && !c.attr<bool>("partial_pivoting")) {
    return invalid_argument("Setting perturb_singular requires also setting partial_pivoting.");
  }
  const PartialShape& diagonals = c.input(0);
  const PartialShape& rhs = c.input(1);
  TENON_ASSIGN_OR_RETURN(const PartialShape batch, common_batch(c));
  if (!rhs.has_rank()) return unknown_shape(c);
  int64_t n = rhs[rhs.rank() - 2];
  if (diagonals.has_rank()) {
    const int64_t count = diagonals[diagonals.rank() - 2];
    const int64_t size = diagonals[diagonals.rank() - 1];
    if (count >= 0 && count != 3) {
      return invalid_argument("Expected diagonals to be provided as a matrix with 3 rows, got ",
                              count, " rows.");
    }
    if (size >= 0 && n >= 0 && size != n) {
      return invalid_argument("diagonals and right-hand sides have ", size, " and ", n, " rows");
    }
    n = std::max(n, size);
  }
  c.set_output(0, with_last_dims(batch, 0, {n, rhs[rhs.rank() - 1]}));
  return absl::OkStatus();
}

template <class T>
struct RealPart {
  using type = T;
};
template <class T>
struct RealPart<std::complex<T>> {
  using type = T;
};

// One system: `n` equations, `columns` right-hand sides, the solution in `x`.
template <class T>
class TridiagonalSystem {
 public:
  using Real = typename RealPart<T>::type;
  TridiagonalSystem(const T* diagonals, const T* rhs, int64_t n, int64_t columns, T* x)
      : above_(diagonals),
        diagonal_(diagonals + n),
        below_(diagonals + 2 * n),
        rhs_(rhs),
        x_(x),
        n_(n),
        columns_(columns) {}

  // Thomas' algorithm. False where it meets a zero.
  bool solve_without_pivoting() {
    std::vector<T> u(static_cast<size_t>(n_));
    for (int64_t i = 0; i < n_; ++i) {
      const T below = i > 0 ? below_[i] : T(0);
      const T pivot = i > 0 ? diagonal_[i] - below * u[static_cast<size_t>(i - 1)] : diagonal_[0];
      if (pivot == T(0)) return false;
      u[static_cast<size_t>(i)] = above_[i] / pivot;
      for (int64_t c = 0; c < columns_; ++c) {
        x(i, c) = (i > 0 ? rhs(i, c) - below * x(i - 1, c) : rhs(i, c)) / pivot;
      }
    }
    for (int64_t i = n_ - 2; i >= 0; --i) subtract(i, u[static_cast<size_t>(i)], i + 1);
    return true;
  }

  // Gaussian elimination with exchanges of neighbouring rows, as LAPACK's gtsv. False where the
  // matrix is singular.
  bool solve_with_pivoting() {
    if (n_ == 1) {
      if (diagonal_[0] == T(0)) return false;
      for (int64_t c = 0; c < columns_; ++c) x(0, c) = rhs(0, c) / diagonal_[0];
      return true;
    }
    start();
    for (int64_t i = 0; i < n_ - 1; ++i) {
      if (std::abs(u_[index(i)][0]) >= std::abs(below_[i + 1])) {
        if (u_[index(i)][0] == T(0)) return false;
        eliminate(i);
      } else {
        exchange(i);
      }
    }
    if (u_[index(n_ - 1)][0] == T(0)) return false;
    substitute([](const T& pivot, T* row, int64_t columns) {
      for (int64_t c = 0; c < columns; ++c) row[c] /= pivot;
    });
    return true;
  }

  // As LAPACK's lagtf and lagts: pivots so small that the solution would overflow are moved away
  // from zero by multiples of the precision of the largest element.
  void solve_perturbed() {
    start();
    Real scale = std::abs(diagonal_[0]) + (n_ > 1 ? std::abs(above_[0]) : Real(0));
    for (int64_t i = 0; i < n_ - 1; ++i) {
      Real next = std::abs(below_[i + 1]) + std::abs(diagonal_[i + 1]);
      if (i < n_ - 2) next += std::abs(above_[i + 1]);
      const T pivot = u_[index(i)][0];
      const Real here = pivot == T(0) ? Real(0) : std::abs(pivot) / scale;
      if (below_[i + 1] == T(0)) {
        keep(i);
        scale = next;
      } else if (std::abs(below_[i + 1]) / next <= here) {
        eliminate(i);
        scale = next;
      } else {
        exchange(i);
      }
    }
    const Real tolerance = std::numeric_limits<Real>::epsilon() * largest();
    substitute([tolerance](T pivot, T* row, int64_t columns) {
      perturb(tolerance, pivot, row, columns);
      const T factor = T(1) / pivot;
      for (int64_t c = 0; c < columns; ++c) row[c] *= factor;
    });
  }

 private:
  static size_t index(int64_t i) { return static_cast<size_t>(i); }
  T& x(int64_t i, int64_t c) { return x_[i * columns_ + c]; }
  const T& rhs(int64_t i, int64_t c) const { return rhs_[i * columns_ + c]; }
  void subtract(int64_t i, T factor, int64_t other) {
    for (int64_t c = 0; c < columns_; ++c) x(i, c) -= factor * x(other, c);
  }

  // u_[i] is row i of the upper factor: the diagonal and two above it.
  void start() {
    u_.assign(index(n_), {T(0), T(0), T(0)});
    u_[0] = {diagonal_[0], n_ > 1 ? above_[0] : T(0), T(0)};
    std::copy_n(rhs_, columns_, x_);
  }
  T above(int64_t i) const { return i < n_ - 1 ? above_[i] : T(0); }
  void keep(int64_t i) {
    u_[index(i + 1)] = {diagonal_[i + 1], above(i + 1), T(0)};
    std::copy_n(rhs_ + (i + 1) * columns_, columns_, x_ + (i + 1) * columns_);
  }
  void eliminate(int64_t i) {
    const T factor = below_[i + 1] / u_[index(i)][0];
    keep(i);
    u_[index(i + 1)][0] -= factor * u_[index(i)][1];
    subtract(i + 1, factor, i);
  }
  void exchange(int64_t i) {
    const std::array<T, 3> row = u_[index(i)];
    const T factor = row[0] / below_[i + 1];
    u_[index(i)] = {below_[i + 1], diagonal_[i + 1], above(i + 1)};
    u_[index(i + 1)] = {row[1] - factor * diagonal_[i + 1], -factor * above(i + 1), T(0)};
    for (int64_t c = 0; c < columns_; ++c) {
      const T there = rhs(i + 1, c);
      x(i + 1, c) = x(i, c) - factor * there;
      x(i, c) = there;
    }
  }
  Real largest() const {
    Real most = 0;
    for (const std::array<T, 3>& row : u_) {
      for (const T& one : row) most = std::max(most, Real(std::abs(one)));
    }
    return most;
  }

  // Back substitution; `divide(pivot, row, columns)` divides a row of x.
  template <class Divide>
  void substitute(const Divide& divide) {
    for (int64_t i = n_ - 1; i >= 0; --i) {
      if (i + 1 < n_) subtract(i, u_[index(i)][1], i + 1);
      if (i + 2 < n_) subtract(i, u_[index(i)][2], i + 2);
      divide(u_[index(i)][0], x_ + i * columns_, columns_);
    }
  }

  static void perturb(Real step, T& pivot, T* row, int64_t columns) {
    constexpr Real least = std::numeric_limits<Real>::min(), most = 1 / least;
    Real size = std::abs(pivot), factor = 0;
    for (int64_t c = 0; c < columns; ++c) factor = std::max(factor, Real(std::abs(row[c])));
    step = std::copysign(std::max(step, least), std::real(pivot));
    while (size < 1) {
      const bool tiny = size < least;
      if (tiny && size != 0 && factor * least <= size) {
        pivot *= most;
        for (int64_t c = 0; c < columns; ++c) row[c] *= most;
        return;
      }
      if (!tiny && factor <= size * most) return;
      pivot += step;
      step *= 2;
      size = std::abs(pivot);
    }
  }

  const T* above_;
  const T* diagonal_;
  const T* below_;
  const T* rhs_;
  T* x_;
  int64_t n_, columns_;
  std::vector<std::array<T, 3>> u_;
};

StatusOr<Kernel> make_tridiagonal_solve(Prepare& p) {
  const Matrices rhs = matrices_of(p.input_shape(1));
  const bool pivoting = p.attr<bool>("partial_pivoting");
  const bool perturbed = p.attr<bool>("perturb_singular");
  const double work = 8 * static_cast<double>(rhs.size());
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [=](KernelRun& r) {
      if (rhs.size() == 0) return absl::OkStatus();
      return for_each_matrix(rhs.count, work, [&](int64_t i) -> Status {
        T* x = r.out<T>(0) + i * rhs.size();
        TridiagonalSystem<T> system(r.in<T>(0) + i * 3 * rhs.rows, r.in<T>(1) + i * rhs.size(),
                                    rhs.rows, rhs.columns, x);
        if (perturbed) {
          system.solve_perturbed();
        } else if (!(pivoting ? system.solve_with_pivoting() : system.solve_without_pivoting())) {
          // TensorFlow's: NaN, which complex dtypes have not.
          std::fill_n(x, rhs.size(), std::numeric_limits<T>::quiet_NaN());
        }
        return absl::OkStatus();
      });
    };
  });
}

// linalg_grad.py: _TridiagonalSolveGrad. The transposed matrix has its diagonals moved by one.
Status tridiagonal_solve_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  GraphBuilder& b = m.b;
  const Endpoint diagonals = g.input(0), x = g.output(0);
  // [super, main, sub] as columns, so that a diagonal moves along the rows.
  const Endpoint columns = m.transpose(diagonals);
  const auto row_of_zeros = [&](Endpoint of) { return b.zeros_like(m.rows(of, 0, 1)); };
  const Endpoint above = m.columns(columns, 0, 1), below = m.columns(columns, 2, 3);
  const Endpoint up = m.b.concat({m.rows(below, 1, 0), row_of_zeros(below)}, -2);
  const Endpoint down = m.b.concat({row_of_zeros(above), m.rows(above, 0, -1)}, -2);
  const Endpoint flipped = m.transpose(m.b.concat({up, m.columns(columns, 1, 2), down}, -1));
  const Endpoint db = b.op("TridiagonalSolve", {flipped, g.dy()},
                           {{"partial_pivoting", g.attr<bool>("partial_pivoting")},
                            {"perturb_singular", g.attr<bool>("perturb_singular")}});
  // The three diagonals of -dB X^T.
  const Endpoint next = m.b.concat({m.rows(x, 1, 0), row_of_zeros(x)}, -2);
  const Endpoint last = m.b.concat({row_of_zeros(x), m.rows(x, 0, -1)}, -2);
  const auto diagonal_of = [&](Endpoint other) { return m.sum_last(b.mul(db, other)); };
  const Endpoint all =
      b.op("Pack", {diagonal_of(next), diagonal_of(x), diagonal_of(last)}, {{"axis", int64_t{-2}}});
  g.set_dx(0, b.neg(all));
  g.set_dx(1, db);
  return absl::OkStatus();
}

Status tridiagonal_matmul_shape(ShapeContext& c) {
  const PartialShape& rhs = c.input(3);
  for (int i = 0; i < 4; ++i) TENON_RETURN_IF_ERROR(c.expect_rank_at_least(i, 2));
  for (int i = 0; i < 3 && rhs.has_rank(); ++i) {
    const PartialShape& diagonal = c.input(i);
    const PartialShape expected = with_last_dims(rhs, 2, {1, rhs[rhs.rank() - 2]});
    if (!PartialShape::merge(diagonal, expected).ok()) {
      return invalid_argument("input ", i, " must have shape ", expected, ", it has ", diagonal);
    }
  }
  c.set_output(0, rhs);
  return absl::OkStatus();
}

StatusOr<Kernel> make_tridiagonal_matmul(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(3));
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, 3 * static_cast<double>(m.size()), [&](int64_t i) -> Status {
        const T* above = r.in<T>(0) + i * m.rows;
        const T* diagonal = r.in<T>(1) + i * m.rows;
        const T* below = r.in<T>(2) + i * m.rows;
        const T* x = r.in<T>(3) + i * m.size();
        T* y = r.out<T>(0) + i * m.size();
        for (int64_t row = 0; row < m.rows; ++row, x += m.columns, y += m.columns) {
          for (int64_t c = 0; c < m.columns; ++c) {
            T sum = diagonal[row] * x[c];
            if (row + 1 < m.rows) sum += above[row] * x[c + m.columns];
            if (row > 0) sum += below[row] * x[c - m.columns];
            y[c] = sum;
          }
        }
        return absl::OkStatus();
      });
    };
  });
}

// linalg_grad.py: _TridiagonalMatMulGrad.
Status tridiagonal_matmul_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  GraphBuilder& b = m.b;
  const Endpoint dy = g.dy(), x = m.conj(g.input(3));
  const auto zeros = [&](Endpoint of) { return b.zeros_like(m.rows(of, 0, 1)); };
  const auto up = [&](Endpoint of) { return m.b.concat({m.rows(of, 1, 0), zeros(of)}, -2); };
  const auto down = [&](Endpoint of) { return m.b.concat({zeros(of), m.rows(of, 0, -1)}, -2); };
  const auto set_diagonal = [&](int index, Endpoint other) {
    g.set_dx(index, m.expand(m.sum_last(b.mul(other, dy)), -2));
  };
  set_diagonal(0, up(x));
  set_diagonal(1, x);
  set_diagonal(2, down(x));
  const auto times = [&](int index) { return b.mul(m.adjoint(g.input(index)), dy); };
  g.set_dx(3, b.add(b.add(down(times(0)), times(1)), up(times(2))));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(TridiagonalSolve) = {
    .inputs = "diagonals: T, rhs: T",
    .outputs = "output: T",
    .attrs =
        "partial_pivoting: bool = true; perturb_singular: bool = false; "
        "T: {double, float, complex64, complex128}",
    .shape = tridiagonal_solve_shape,
    .rows = matrix_rows,
    .gradient = tridiagonal_solve_gradient,
    .kernels = {make_tridiagonal_solve},
};
TENON_OP(TridiagonalMatMul) = {
    .inputs = "superdiag: T, maindiag: T, subdiag: T, rhs: T",
    .outputs = "output: T",
    .attrs = "T: {double, float, complex64, complex128}",
    .shape = tridiagonal_matmul_shape,
    .rows = matrix_rows,
    .gradient = tridiagonal_matmul_gradient,
    .kernels = {make_tridiagonal_matmul},
};

}  // namespace tenon
