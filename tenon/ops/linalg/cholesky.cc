// Cholesky, CholeskyGrad: A = L L^H, of which the lower triangle of A is read.
#include <eigen3/Eigen/Cholesky>

#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_cholesky(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, cube(m.rows) / 3, [&](int64_t i) -> Status {
        const Eigen::LLT<Dense<T>> llt(matrix_at<T>(r.input(0), m, i));
        auto l = matrix_at<T>(r.output(0), m, i);
        l = llt.matrixL();
        // As TensorFlow: a matrix that is not positive definite has no answer.
        if (llt.info() != Eigen::Success) {
          const T none(std::numeric_limits<RealOf<T>>::quiet_NaN());
          l.template triangularView<Eigen::Lower>() = Dense<T>::Constant(m.rows, m.columns, none);
        }
        return absl::OkStatus();
      });
    };
  });
}

// Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10, as _CholeskyGrad in
// linalg_grad.py: A' = sym(L^-H P(L^H L') L^-1), P the lower triangle with half the diagonal.
Status cholesky_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  const Endpoint l = g.output(0);
  const Endpoint product = m.mul(l, g.dy(), true);
  const Endpoint middle = m.lower(m.set_diag(product, m.scaled(m.diag_part(product), 0.5)));
  const Endpoint left = m.triangular_solve(l, middle, true, true);
  const Endpoint both = m.adjoint(m.triangular_solve(l, m.adjoint(left), true, true));
  g.set_dx(0, m.scaled(m.b.add(both, m.adjoint(both)), 0.5));
  return absl::OkStatus();
}

Status cholesky_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape l, square_matrices(c, 0));
  TENON_ASSIGN_OR_RETURN(const PartialShape dy, square_matrices(c, 1));
  auto merged = PartialShape::merge(l, dy);
  if (!merged.ok()) {
    return invalid_argument("l and grad must have the same shape, they have ", l, " and ", dy);
  }
  c.set_output(0, *std::move(merged));
  return absl::OkStatus();
}

// The same as the gradient above, of one matrix.
template <class T>
Dense<T> cholesky_slope(const Dense<T>& l, const Dense<T>& dy) {
  Dense<T> middle = l.adjoint() * dy.template triangularView<Eigen::Lower>().toDenseMatrix();
  middle.template triangularView<Eigen::StrictlyUpper>().setZero();
  middle.diagonal() *= T(0.5);
  const auto upper = l.adjoint().template triangularView<Eigen::Upper>();
  upper.solveInPlace(middle);  // L^-H P
  Dense<T> flipped = middle.adjoint();
  upper.solveInPlace(flipped);  // (L^-H P L^-1)^H
  return (flipped + flipped.adjoint()) * T(0.5);
}

StatusOr<Kernel> make_cholesky_grad(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  return matrix_kernel<TypeList<float, double>>(p, [&]<class T>() -> Kernel {
    return [m](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, 3 * cube(m.rows), [&](int64_t i) -> Status {
        matrix_at<T>(r.output(0), m, i) =
            cholesky_slope<T>(matrix_at<T>(r.input(0), m, i), matrix_at<T>(r.input(1), m, i));
        return absl::OkStatus();
      });
    };
  });
}

}  // namespace

TENON_OP(Cholesky) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {double, float, half, complex64, complex128}",
    .shape = square_shape,
    .rows = matrix_rows,
    .gradient = cholesky_gradient,
    .kernels = {make_cholesky},
};
TENON_OP(BatchCholesky) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {double, float}",
    .shape = square_shape,
    .gradient = not_differentiable,
    .kernels = {make_cholesky},
};
TENON_OP(CholeskyGrad) = {
    .inputs = "l: T, grad: T",
    .outputs = "output: T",
    .attrs = "T: {half, float, double}",
    .shape = cholesky_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_cholesky_grad},
};
TENON_OP(BatchCholeskyGrad) = {
    .inputs = "l: T, grad: T",
    .outputs = "output: T",
    .attrs = "T: {float, double}",
    .shape = cholesky_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_cholesky_grad},
};

}  // namespace tenon
