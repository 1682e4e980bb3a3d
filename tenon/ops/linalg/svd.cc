// Svd: A = U diag(s) V^H by divide and conquer.
#include <eigen3/Eigen/SVD>

#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

Status svd_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  const PartialShape& x = c.input(0);
  const bool vectors = c.attr<bool>("compute_uv");
  if (!vectors) {
    c.set_output(1, PartialShape{0});
    c.set_output(2, PartialShape{0});
  }
  if (!x.has_rank()) return absl::OkStatus();
  const int64_t rows = x[x.rank() - 2], columns = x[x.rank() - 1];
  const int64_t least = rows < 0 || columns < 0 ? -1 : std::min(rows, columns);
  const bool full = c.attr<bool>("full_matrices");
  c.set_output(0, with_last_dims(x, 2, {least}));
  if (!vectors) return absl::OkStatus();
  c.set_output(1, with_last_dims(x, 2, {rows, full ? rows : least}));
  c.set_output(2, with_last_dims(x, 2, {columns, full ? columns : least}));
  return absl::OkStatus();
}

// Where the input is not finite TensorFlow has NaN, of complex dtypes zeros.
template <class T, class W>
void narrow_or_nan(bool ok, const Dense<W>& from, T* to) {
  if (ok) {
    narrow_matrix(from, to);
  } else {
    std::fill_n(to, from.size(), std::numeric_limits<T>::quiet_NaN());
  }
}

struct SvdSizes {
  Matrices m;
  int64_t least = 0, left = 0, right = 0;  // singular values; columns of U and V
  int options = 0;
};

template <class T>
void decompose_svd(KernelRun& r, const SvdSizes& s, int64_t i) {
  using W = Wide<T>;
  T* u = r.out<T>(1) + i * s.m.rows * s.left;
  T* v = r.out<T>(2) + i * s.m.columns * s.right;
  if (s.m.size() == 0) {
    if (s.options == 0) return;
    narrow_matrix(Dense<W>(Dense<W>::Identity(s.m.rows, s.left)), u);
    narrow_matrix(Dense<W>(Dense<W>::Identity(s.m.columns, s.right)), v);
    return;
  }
  const Dense<W> x = wide_matrix_at<T>(r.input(0), s.m, i);
  const Eigen::BDCSVD<Dense<W>> svd(x, static_cast<unsigned>(s.options));
  const bool ok = svd.info() == Eigen::Success;
  narrow_or_nan<T, W>(ok, svd.singularValues().template cast<W>(), r.out<T>(0) + i * s.least);
  if (s.options == 0) return;
  narrow_or_nan<T, W>(ok, svd.matrixU(), u);
  narrow_or_nan<T, W>(ok, svd.matrixV(), v);
}

StatusOr<Kernel> make_svd(Prepare& p) {
  SvdSizes s;
  s.m = matrices_of(p.input_shape(0));
  s.least = std::min(s.m.rows, s.m.columns);
  const bool full = p.attr<bool>("full_matrices");
  if (p.attr<bool>("compute_uv")) {
    s.left = full ? s.m.rows : s.least;
    s.right = full ? s.m.columns : s.least;
    s.options = full ? Eigen::ComputeFullU | Eigen::ComputeFullV
                     : Eigen::ComputeThinU | Eigen::ComputeThinV;
  }
  const double work = 12 * static_cast<double>(s.m.size()) * static_cast<double>(s.least);
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [s, work](KernelRun& r) {
      return for_each_matrix(s.m.count, work, [&](int64_t i) -> Status {
        decompose_svd<T>(r, s, i);
        return absl::OkStatus();
      });
    };
  });
}

struct SvdParts {
  Endpoint s, u, v, ds, du, dv;
};

// Of a matrix with at most as many rows (`rows`) as columns: linalg_grad.py, _SvdGrad.
Endpoint wide_svd_gradient(MatrixGraph& m, const SvdParts& p, int64_t rows, int64_t columns,
                           bool full) {
  GraphBuilder& b = m.b;
  const Endpoint s = m.diag(p.s), gaps = m.gaps(b.mul(p.s, p.s));
  const Endpoint inverse = m.diag(m.safe_reciprocal(p.s));
  const Endpoint v = m.columns(p.v, 0, rows), dv = m.columns(p.dv, 0, rows);
  const Endpoint v_dv = m.mul(v, dv, true);
  const Endpoint fu = b.mul(gaps, m.mul(p.u, p.du, true)), fv = b.mul(gaps, v_dv);
  const Endpoint inner = b.add(b.add(m.diag(p.ds), m.mul(b.add(fu, m.adjoint(fu)), s)),
                               m.mul(s, b.add(fv, m.adjoint(fv))));
  Endpoint dx = m.mul(p.u, m.mul(inner, v, false, true));
  if (rows != columns) {
    const Endpoint dv_t = m.adjoint(dv);
    Endpoint outside = b.sub(dv_t, m.mul(m.mul(dv_t, v), v, false, true));
    if (full) {
      const Endpoint v2 = m.columns(p.v, rows, columns), dv2 = m.columns(p.dv, rows, columns);
      outside = b.sub(outside, m.mul(m.mul(v, dv2, true), v2, false, true));
    }
    dx = b.add(dx, m.mul(m.mul(p.u, inverse), outside));
  }
  if (is_complex(b.dtype(p.u))) {
    const Endpoint l = m.diag(m.diag_part(v_dv));
    const Endpoint phase = m.mul(inverse, b.sub(m.adjoint(l), l));
    dx = b.add(dx, m.scaled(m.mul(p.u, m.mul(phase, v, false, true)), 0.5));
  }
  return dx;
}

Status svd_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  if (!g.attr<bool>("compute_uv")) {
    const std::vector<Endpoint> svd = m.b.ops("Svd", {g.input(0)});
    if (svd.size() < 3) return m.b.status();
    g.set_dx(0, m.mul(svd[1], m.mul(m.diag(g.dy(0)), svd[2], false, true)));
    return absl::OkStatus();
  }
  const PartialShape shape = g.input_shape(0);
  const int64_t rows = shape.has_rank() ? shape[shape.rank() - 2] : -1;
  const int64_t columns = shape.has_rank() ? shape[shape.rank() - 1] : -1;
  if (rows < 0 || columns < 0) {
    return unimplemented("TensorFlow has the gradient of Svd for matrices of known size only, not ",
                         shape);
  }
  const bool full = g.attr<bool>("full_matrices");
  if (full && std::abs(rows - columns) > 1) {
    return unimplemented("TensorFlow has no gradient of Svd with full_matrices of shape ", shape);
  }
  SvdParts parts{g.output(0), g.output(1), g.output(2), g.dy(0), g.dy(1), g.dy(2)};
  if (rows <= columns) {
    g.set_dx(0, wide_svd_gradient(m, parts, rows, columns, full));
    return absl::OkStatus();
  }
  std::swap(parts.u, parts.v);
  std::swap(parts.du, parts.dv);
  g.set_dx(0, m.adjoint(wide_svd_gradient(m, parts, columns, rows, full)));
  return absl::OkStatus();
}

Rows svd_rows(const ShapeContext& c) {
  return c.attr<bool>("compute_uv") ? matrix_rows(c) : Rows::kMixed;
}

constexpr OpDecl svd_op(AttrsText attrs, GradientFn gradient) {
  return {
      .inputs = "input: T",
      .outputs = "s: T, u: T, v: T",
      .attrs = attrs,
      .shape = svd_shape,
      .rows = svd_rows,
      .gradient = gradient,
      .kernels = {make_svd},
  };
}

}  // namespace

TENON_OP(Svd) = svd_op(
    "compute_uv: bool = true; full_matrices: bool = false; "
    "T: {double, float, half, complex64, complex128}",
    svd_gradient);
TENON_OP(BatchSvd) = svd_op(
    "compute_uv: bool = true; full_matrices: bool = false; "
    "T: {double, float, complex64, complex128}",
    not_differentiable);

}  // namespace tenon
