// MatrixSolveLs: least squares, by the normal equations (fast) or a complete orthogonal
// decomposition, which takes matrices of any rank.
#include <eigen3/Eigen/Cholesky>
#include <eigen3/Eigen/QR>

#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

Status least_squares_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  const PartialShape& a = c.input(0);
  const PartialShape& b = c.input(1);
  TENON_ASSIGN_OR_RETURN(const PartialShape batch, common_batch(c));
  if (!a.has_rank() || !b.has_rank()) return unknown_shape(c);
  const int64_t rows = a[a.rank() - 2], others = b[b.rank() - 2];
  if (rows >= 0 && others >= 0 && rows != others) {
    return invalid_argument("matrix and right-hand side have ", rows, " and ", others, " rows");
  }
  c.set_output(0, with_last_dims(batch, 0, {a[a.rank() - 1], b[b.rank() - 1]}));
  return absl::OkStatus();
}

// (A^H A + l I) X = A^H B, or, with fewer rows than columns, X = A^H (A A^H + l I)^-1 B.
template <class T>
StatusOr<Dense<T>> normal_equations(const Dense<T>& a, const Dense<T>& b, double regularizer) {
  const bool tall = a.rows() >= a.cols();
  Dense<T> gram = tall ? Dense<T>(a.adjoint() * a) : Dense<T>(a * a.adjoint());
  if (regularizer > 0) gram.diagonal().array() += T(regularizer);
  const Eigen::LLT<Dense<T>> llt(gram);
  if (llt.info() != Eigen::Success) {
    return invalid_argument(
        "Input matrix was rank deficient or ill-conditioned. Try setting fast=False or provide a "
        "larger l2_regularizer > 0.");
  }
  if (tall) {
    Dense<T> x = a.adjoint() * b;
    llt.solveInPlace(x);
    return x;
  }
  Dense<T> x = b;
  llt.solveInPlace(x);
  return Dense<T>(a.adjoint() * x);
}

StatusOr<Kernel> make_least_squares(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0)), rhs = matrices_of(p.input_shape(1));
  const Matrices result = matrices_of(p.output_shape(0).to_shape());
  const bool fast = p.attr<bool>("fast");
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [=](KernelRun& r) -> Status {
      const double regularizer = *r.in<double>(2);
      if (regularizer < 0) return invalid_argument("l2_regularizer must be >= 0.");
      if (result.count * result.size() == 0) return absl::OkStatus();
      if (m.rows == 0) {
        std::fill_n(r.out<T>(0), r.output(0).num_elements(), T(0));
        return absl::OkStatus();
      }
      return for_each_matrix(m.count, cube(std::max(m.rows, m.columns)), [&](int64_t i) -> Status {
        using W = Wide<T>;
        const Dense<W> a = wide_matrix_at<T>(r.input(0), m, i);
        const Dense<W> b = wide_matrix_at<T>(r.input(1), rhs, i);
        StatusOr<Dense<W>> x = Dense<W>();
        if (fast) {
          x = normal_equations<W>(a, b, regularizer);
        } else {
          *x = Eigen::CompleteOrthogonalDecomposition<Dense<W>>(a).solve(b);
        }
        TENON_RETURN_IF_ERROR(x.status());
        narrow_matrix(*x, r.out<T>(0) + i * result.size());
        return absl::OkStatus();
      });
    };
  });
}

Endpoint cholesky_solve(MatrixGraph& m, Endpoint l, Endpoint b) {
  return m.triangular_solve(l, m.triangular_solve(l, b, true, false), true, true);
}

// linalg_grad.py: _MatrixSolveLsGrad.
Status least_squares_gradient(Gradient& g) {
  if (!g.attr<bool>("fast")) {
    return unimplemented("TensorFlow defines no gradient of MatrixSolveLs with fast=False");
  }
  const PartialShape shape = g.input_shape(0);
  const int64_t rows = shape.has_rank() ? shape[shape.rank() - 2] : -1;
  const int64_t columns = shape.has_rank() ? shape[shape.rank() - 1] : -1;
  if (rows < 0 || columns < 0) {
    return unimplemented("the gradient of MatrixSolveLs needs a matrix of known size, it has ",
                         shape);
  }
  MatrixGraph m(g.build());
  const Endpoint a = g.input(0), b = g.input(1), x = g.output(0);
  const bool tall = rows >= columns;
  const Endpoint product = m.mul(a, a, tall, !tall);
  const Endpoint diagonal = m.diag_part(product);
  const Endpoint more = m.b.add(diagonal, m.b.cast(g.input(2), g.input_dtype(0)));
  const Endpoint l = m.b.op("Cholesky", {m.set_diag(product, more)});
  if (tall) {
    const Endpoint z = cholesky_solve(m, l, g.dy());
    const Endpoint xz = m.mul(x, z, false, true);
    // TensorFlow's formula transposes here without conjugating.
    const Endpoint both = m.b.add(xz, m.transpose(xz));
    g.set_dx(0, m.b.sub(m.mul(b, z, false, true), m.mul(a, both)));
    g.set_dx(1, m.mul(a, z));
    return absl::OkStatus();
  }
  const Endpoint db = cholesky_solve(m, l, m.mul(a, g.dy()));
  const Endpoint inner = cholesky_solve(m, l, b);
  const Endpoint rest = m.b.sub(g.dy(), m.mul(a, db, true));
  g.set_dx(0, m.b.sub(m.mul(inner, rest, false, true), m.mul(db, m.mul(inner, a, true))));
  g.set_dx(1, db);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MatrixSolveLs) = {
    .inputs = "matrix: T, rhs: T, l2_regularizer: double",
    .outputs = "output: T",
    .attrs = "T: {double, float, half, complex64, complex128}; fast: bool = true",
    .shape = least_squares_shape,
    .gradient = least_squares_gradient,
    .kernels = {make_least_squares},
};
TENON_OP(BatchMatrixSolveLs) = {
    .inputs = "matrix: T, rhs: T, l2_regularizer: double",
    .outputs = "output: T",
    .attrs = "T: {double, float}; fast: bool = true",
    .shape = least_squares_shape,
    .gradient = not_differentiable,
    .kernels = {make_least_squares},
};

}  // namespace tenon
