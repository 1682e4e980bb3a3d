// Qr: by Householder reflections.
#include <eigen3/Eigen/QR>

#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

Status qr_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) return unknown_shape(c);
  const int64_t rows = x[x.rank() - 2], columns = x[x.rank() - 1];
  const int64_t least = rows < 0 || columns < 0 ? -1 : std::min(rows, columns);
  const int64_t inner = c.attr<bool>("full_matrices") ? rows : least;
  c.set_output(0, with_last_dims(x, 2, {rows, inner}));
  c.set_output(1, with_last_dims(x, 2, {inner, columns}));
  return absl::OkStatus();
}

// `inner`: columns of Q, rows of R.
template <class W>
struct QrParts {
  Dense<W> q, r;
  QrParts(const Dense<W>& a, int64_t inner)
      : q(Dense<W>::Identity(a.rows(), inner)), r(Dense<W>::Zero(inner, a.cols())) {
    if (a.size() == 0) return;
    const Eigen::HouseholderQR<Dense<W>> qr(a);
    q = qr.householderQ() * q;
    r = qr.matrixQR().topRows(inner);
    r.template triangularView<Eigen::StrictlyLower>().setZero();
  }
};

StatusOr<Kernel> make_qr(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  const Shape q = p.output_shape(0).to_shape();
  const int64_t inner = q[q.rank() - 1];
  const double work = static_cast<double>(m.size()) * static_cast<double>(inner) * 2;
  return matrix_kernel<HalfMatrixTypes>(p, [&]<class T>() -> Kernel {
    return [=](KernelRun& r) {
      return for_each_matrix(m.count, work, [&](int64_t i) -> Status {
        const QrParts<Wide<T>> parts(wide_matrix_at<T>(r.input(0), m, i), inner);
        narrow_matrix(parts.q, r.out<T>(0) + i * m.rows * inner);
        narrow_matrix(parts.r, r.out<T>(1) + i * inner * m.columns);
        return absl::OkStatus();
      });
    };
  });
}

// X R^-H of an upper triangular R.
Endpoint over_adjoint(MatrixGraph& m, Endpoint x, Endpoint r) {
  return m.adjoint(m.triangular_solve(r, m.adjoint(x), false, false));
}

// As many columns as rows of R: linalg_grad.py, _QrGradSquareAndDeepMatrices.
Endpoint deep_qr_gradient(MatrixGraph& m, Endpoint q, Endpoint r, Endpoint dq, Endpoint dr) {
  GraphBuilder& b = m.b;
  const Endpoint q_dq = m.mul(q, dq, true), r_dr = m.mul(r, dr, false, true);
  const Endpoint skew = b.add(b.sub(q_dq, m.adjoint(q_dq)), b.sub(r_dr, m.adjoint(r_dr)));
  const Endpoint first = m.mul(q, b.add(dr, over_adjoint(m, m.lower(skew), r)));
  const Endpoint second = over_adjoint(m, b.sub(dq, m.mul(q, q_dq)), r);
  const Endpoint dx = b.add(first, second);
  if (!is_complex(b.dtype(q))) return dx;
  const Endpoint diagonal = m.diag(m.diag_part(b.sub(r_dr, m.adjoint(q_dq))));
  const Endpoint imaginary = b.sub(diagonal, m.real_part(diagonal));
  return b.add(dx, over_adjoint(m, m.mul(q, m.adjoint(imaginary)), r));
}

Status qr_gradient(Gradient& g) {
  const PartialShape shape = g.input_shape(0);
  const int64_t rows = shape.has_rank() ? shape[shape.rank() - 2] : -1;
  const int64_t columns = shape.has_rank() ? shape[shape.rank() - 1] : -1;
  if (rows < 0 || columns < 0) {
    return unimplemented("TensorFlow has the gradient of Qr for matrices of known size only, not ",
                         shape);
  }
  if (rows > columns && g.attr<bool>("full_matrices")) {
    return unimplemented(
        "TensorFlow has no gradient of Qr with full_matrices of more rows than columns: ", shape);
  }
  MatrixGraph m(g.build());
  const Endpoint q = g.output(0), r = g.output(1), dq = g.dy(0), dr = g.dy(1);
  if (rows >= columns) {
    g.set_dx(0, deep_qr_gradient(m, q, r, dq, dr));
    return absl::OkStatus();
  }
  // The square part on the left decides Q; the columns to its right are Q times theirs in R.
  const Endpoint rest = m.columns(g.input(0), rows, 0), d_rest = m.columns(dr, rows, 0);
  const Endpoint dq_all = m.b.add(dq, m.mul(rest, d_rest, false, true));
  const Endpoint left =
      deep_qr_gradient(m, q, m.columns(r, 0, rows), dq_all, m.columns(dr, 0, rows));
  g.set_dx(0, m.b.concat({left, m.mul(q, d_rest)}, -1));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Qr) = {
    .inputs = "input: T",
    .outputs = "q: T, r: T",
    .attrs = "full_matrices: bool = false; T: {double, float, half, complex64, complex128}",
    .shape = qr_shape,
    .rows = matrix_rows,
    .gradient = qr_gradient,
    .kernels = {make_qr},
};

}  // namespace tenon
