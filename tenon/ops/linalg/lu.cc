// MatrixDeterminant, LogMatrixDeterminant, MatrixInverse, MatrixSolve, Lu: by the LU decomposition
// with partial pivoting.
#include <eigen3/Eigen/LU>

#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

// An exact zero among the pivots, or a NaN.
template <class T>
bool is_singular(const Eigen::PartialPivLU<Dense<T>>& lu) {
  return !(lu.matrixLU().diagonal().cwiseAbs().minCoeff() > RealOf<T>(0));
}

StatusOr<Kernel> make_inverse(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  const bool adjoint = p.attr<bool>("adjoint");
  return matrix_kernel<HalfMatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m, adjoint](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, cube(m.rows), [&](int64_t i) -> Status {
        using W = std::conditional_t<std::is_same_v<T, float16>, double, T>;
        Dense<W> x;
        if constexpr (std::is_same_v<T, W>) {
          x = matrix_at<T>(r.input(0), m, i);
        } else {
          x = wide_matrix_at<T>(r.input(0), m, i);
        }
        if (adjoint) x.adjointInPlace();
        const Eigen::PartialPivLU<Dense<W>> lu(x);
        if (is_singular<W>(lu)) return invalid_argument("Input is not invertible.");
        x = lu.inverse();
        narrow_matrix(x, r.out<T>(0) + i * m.size());
        return absl::OkStatus();
      });
    };
  });
}

// linalg_grad.py: _MatrixInverseGrad.
Status inverse_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  const bool adjoint = g.attr<bool>("adjoint");
  const Endpoint inverse = g.output(0);
  const Endpoint inner = m.mul(g.dy(), inverse, adjoint, !adjoint);
  g.set_dx(0, m.b.neg(m.mul(inverse, inner, !adjoint)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_solve(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0)), rhs = matrices_of(p.input_shape(1));
  const bool adjoint = p.attr<bool>("adjoint");
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m, rhs, adjoint](KernelRun& r) {
      if (rhs.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, cube(m.rows), [&](int64_t i) -> Status {
        Dense<T> a = matrix_at<T>(r.input(0), m, i);
        if (adjoint) a.adjointInPlace();
        const Eigen::PartialPivLU<Dense<T>> lu(a);
        if (is_singular<T>(lu)) return invalid_argument("Input matrix is not invertible.");
        const Dense<T> b = matrix_at<T>(r.input(1), rhs, i);
        const Dense<T> x = lu.solve(b);
        matrix_at<T>(r.output(0), rhs, i) = x;
        return absl::OkStatus();
      });
    };
  });
}

// linalg_grad.py: _MatrixSolveGrad.
Status matrix_solve_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  const bool adjoint = g.attr<bool>("adjoint");
  const Endpoint x = g.output(0);
  const Endpoint db = m.b.op("MatrixSolve", {g.input(0), g.dy()}, {{"adjoint", !adjoint}});
  const Endpoint da = adjoint ? m.mul(x, db, false, true) : m.mul(db, x, false, true);
  g.set_dx(0, m.b.neg(da));
  g.set_dx(1, db);
  return absl::OkStatus();
}

Status lu_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape x, square_matrices(c, 0));
  c.set_output(1, x.has_rank() ? with_last_dims(x, 1, {}) : PartialShape());
  c.set_output(0, x);
  return absl::OkStatus();
}

// p[i] is the row of the input that became row i.
template <class T, class Index>
Status decompose(const Tensor& x, const Matrices& m, int64_t i, Tensor& packed, Index* p) {
  const Dense<T> a = matrix_at<T>(x, m, i);
  const Eigen::PartialPivLU<Dense<T>> lu(a);
  if (is_singular<T>(lu)) return invalid_argument("Input is not invertible.");
  matrix_at<T>(packed, m, i) = lu.matrixLU();
  for (Eigen::Index row = 0; row < a.rows(); ++row) {
    p[lu.permutationP().indices()(row)] = static_cast<Index>(row);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_lu(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  const bool narrow = p.output_dtype(1) == DType::kInt32;
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m, narrow](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, cube(m.rows) / 3, [&](int64_t i) -> Status {
        return narrow ? decompose<T>(r.input(0), m, i, r.output(0), r.out<int32_t>(1) + i * m.rows)
                      : decompose<T>(r.input(0), m, i, r.output(0), r.out<int64_t>(1) + i * m.rows);
      });
    };
  });
}

constexpr OpDecl solver_op(ArgsText inputs, AttrsText attrs, ShapeFn shape, GradientFn gradient,
                           KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: T",
      .attrs = attrs,
      .shape = shape,
      .gradient = gradient,
      .kernels = {factory},
  };
}

Status determinant_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape x, square_matrices(c, 0));
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, with_last_dims(x, 2, {}));
  return absl::OkStatus();
}

// A determinant as sign (a complex number of size 1, or 0) and logarithm of its size, which do not
// overflow.
template <class T>
struct SignAndLog {
  T sign = T(1);
  RealOf<T> log = 0;
};

template <class T>
SignAndLog<T> sign_and_log(const Dense<T>& x) {
  SignAndLog<T> result;
  if (x.size() == 0) return result;
  const Eigen::PartialPivLU<Dense<T>> lu(x);
  result.sign = T(static_cast<RealOf<T>>(lu.permutationP().determinant()));
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const T pivot = lu.matrixLU()(i, i);
    const RealOf<T> size = std::abs(pivot);
    result.log += std::log(size);
    if (size == RealOf<T>(0)) {
      result.sign *= RealOf<T>(0);
    } else if (!Eigen::NumTraits<T>::IsComplex && std::isinf(size)) {
      result.sign *= std::real(pivot) > 0 ? RealOf<T>(1) : RealOf<T>(-1);
    } else {
      result.sign *= pivot / size;
    }
  }
  return result;
}

template <bool logarithm>
StatusOr<Kernel> make_determinant(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m](KernelRun& r) {
      return for_each_matrix(m.count, cube(m.rows) / 3, [&](int64_t i) -> Status {
        const SignAndLog<T> found = sign_and_log<T>(matrix_at<T>(r.input(0), m, i));
        if (logarithm) {
          r.out<T>(0)[i] = found.sign;
          r.out<T>(1)[i] = T(found.log);
        } else {
          r.out<T>(0)[i] = found.sign * std::exp(found.log);
        }
        return absl::OkStatus();
      });
    };
  });
}

// `scale`, one number a matrix, times A^-H.
Endpoint times_inverse(Gradient& g, Endpoint scale) {
  MatrixGraph m(g.build());
  const Endpoint inverse = m.b.op("MatrixInverse", {g.input(0)}, {{"adjoint", true}});
  return m.b.mul(m.expand(m.expand(scale, -1), -1), inverse);
}

// linalg_grad.py: _MatrixDeterminantGrad, _LogMatrixDeterminantGrad. Of complex matrices the slope
// would hold the conjugate of the determinant, which TensorFlow leaves out.
Status determinant_gradient(Gradient& g) {
  g.set_dx(0, times_inverse(g, g.build().mul(g.dy(), g.output(0))));
  return absl::OkStatus();
}
Status log_determinant_gradient(Gradient& g) {
  g.set_dx(0, times_inverse(g, g.dy(1)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MatrixInverse) =
    solver_op("input: T", "adjoint: bool = false; T: {double, float, half, complex64, complex128}",
              square_shape, inverse_gradient, make_inverse);
TENON_OP(BatchMatrixInverse) = solver_op("input: T", "adjoint: bool = false; T: {double, float}",
                                         square_shape, not_differentiable, make_inverse);
TENON_OP(MatrixSolve) = solver_op(
    "matrix: T, rhs: T", "adjoint: bool = false; T: {double, float, half, complex64, complex128}",
    solve_shape, matrix_solve_gradient, make_solve);
TENON_OP(BatchMatrixSolve) = solver_op("matrix: T, rhs: T",
                                       "adjoint: bool = false; T: {double, float}", solve_shape,
                                       not_differentiable, make_solve);

TENON_OP(MatrixDeterminant) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {half, float, double, complex64, complex128}",
    .shape = determinant_shape,
    .rows = matrix_rows,
    .gradient = determinant_gradient,
    .kernels = {make_determinant<false>},
};
TENON_OP(BatchMatrixDeterminant) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {float, double, complex64, complex128}",
    .shape = determinant_shape,
    .rows = matrix_rows,
    .gradient = not_differentiable,
    .kernels = {make_determinant<false>},
};
TENON_OP(LogMatrixDeterminant) = {
    .inputs = "input: T",
    .outputs = "sign: T, log_abs_determinant: T",
    .attrs = "T: {half, float, double, complex64, complex128}",
    .shape = determinant_shape,
    .rows = matrix_rows,
    .gradient = log_determinant_gradient,
    .kernels = {make_determinant<true>},
};

TENON_OP(Lu) = {
    .inputs = "input: T",
    .outputs = "lu: T, p: output_idx_type",
    .attrs =
        "output_idx_type: {int32, int64} = int32; T: {double, float, half, complex64, complex128}",
    .shape = lu_shape,
    .gradient = not_differentiable,
    .kernels = {make_lu},
};

}  // namespace tenon
