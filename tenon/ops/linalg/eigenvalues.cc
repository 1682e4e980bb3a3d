// SelfAdjointEig, SelfAdjointEigV2, Eig: eigenvalues and eigenvectors.
#include <eigen3/Eigen/Eigenvalues>

#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {
namespace {

Status eig_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape x, square_matrices(c, 0));
  c.set_output(1, c.attr<bool>("compute_v") ? x : PartialShape{0});
  c.set_output(0, x.has_rank() ? with_last_dims(x, 1, {}) : PartialShape());
  return absl::OkStatus();
}

// Eigenvalues above the eigenvectors: one row more.
Status self_adjoint_eig_v1_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape x, square_matrices(c, 0));
  if (!x.has_rank()) return unknown_shape(c);
  const int64_t n = x[x.rank() - 1];
  TENON_ASSIGN_OR_RETURN(const int64_t rows, n < 0 ? StatusOr<int64_t>(-1) : add_dims(n, 1));
  c.set_output(0, with_last_dims(x, 2, {rows, n}));
  return absl::OkStatus();
}

template <class Solver>
Status solved(const Solver& solver, std::string_view kind) {
  if (solver.info() == Eigen::Success) return absl::OkStatus();
  return invalid_argument(kind, " decomposition was not successful. The input might not be valid.");
}

int wanted(bool vectors) { return vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly; }

StatusOr<Kernel> make_self_adjoint_eig(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  const bool vectors = p.attr<bool>("compute_v");
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m, vectors](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, 9 * cube(m.rows), [&](int64_t i) -> Status {
        const Dense<Wide<T>> x = wide_matrix_at<T>(r.input(0), m, i);
        const Eigen::SelfAdjointEigenSolver<Dense<Wide<T>>> eig(x, wanted(vectors));
        TENON_RETURN_IF_ERROR(solved(eig, "Self-adjoint eigen"));
        for (int64_t j = 0; j < m.rows; ++j) {
          r.out<T>(0)[i * m.rows + j] = static_cast<T>(Wide<T>(eig.eigenvalues()(j)));
        }
        if (vectors) narrow_matrix(Dense<Wide<T>>(eig.eigenvectors()), r.out<T>(1) + i * m.size());
        return absl::OkStatus();
      });
    };
  });
}

StatusOr<Kernel> make_self_adjoint_eig_v1(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  return matrix_kernel<TypeList<float, double>>(p, [&]<class T>() -> Kernel {
    return [m](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, 9 * cube(m.rows), [&](int64_t i) -> Status {
        const Dense<double> x = wide_matrix_at<T>(r.input(0), m, i);
        const Eigen::SelfAdjointEigenSolver<Dense<double>> eig(x, Eigen::ComputeEigenvectors);
        TENON_RETURN_IF_ERROR(solved(eig, "Self-adjoint eigen"));
        T* both = r.out<T>(0) + i * (m.size() + m.columns);
        for (int64_t j = 0; j < m.columns; ++j) both[j] = static_cast<T>(eig.eigenvalues()(j));
        narrow_matrix(Dense<double>(eig.eigenvectors()), both + m.columns);
        return absl::OkStatus();
      });
    };
  });
}

using ComplexEigen = Eigen::ComplexEigenSolver<Dense<std::complex<double>>>;

template <class T>
void store_eig(const ComplexEigen& eig, bool vectors, KernelRun& r, int64_t i) {
  const Eigen::Index n = eig.eigenvalues().size();
  T* values = r.out<T>(0) + i * n;
  for (Eigen::Index j = 0; j < n; ++j) values[j] = static_cast<T>(eig.eigenvalues()(j));
  if (vectors)
    narrow_matrix(Dense<std::complex<double>>(eig.eigenvectors()), r.out<T>(1) + i * n * n);
}

// The results have the input's precision: complex64 of float and complex64, complex128 of others.
StatusOr<Kernel> make_eig(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  const bool vectors = p.attr<bool>("compute_v"), narrow = p.output_dtype(0) == DType::kComplex64;
  const bool narrow_input =
      p.input_dtype(0) == DType::kFloat || p.input_dtype(0) == DType::kComplex64;
  if (narrow != narrow_input) {
    return unimplemented("Eig has no CPU kernel from ", p.input_dtype(0), " to ",
                         p.output_dtype(0));
  }
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() -> Kernel {
    return [m, vectors, narrow](KernelRun& r) {
      if (m.size() == 0) return absl::OkStatus();
      return for_each_matrix(m.count, 25 * cube(m.rows), [&](int64_t i) -> Status {
        const Dense<std::complex<double>> x =
            wide_matrix_at<T>(r.input(0), m, i).template cast<std::complex<double>>();
        const ComplexEigen eig(x, vectors);
        TENON_RETURN_IF_ERROR(solved(eig, "Eigen"));
        narrow ? store_eig<std::complex<float>>(eig, vectors, r, i)
               : store_eig<std::complex<double>>(eig, vectors, r, i);
        return absl::OkStatus();
      });
    };
  });
}

// linalg_grad.py: _SelfAdjointEigV2Grad. The op reads the lower triangle, so what falls on the
// upper one is folded there.
Status self_adjoint_eig_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  Endpoint v, inner = m.diag(g.dy(0));
  if (g.attr<bool>("compute_v")) {
    v = g.output(1);
    if (g.has_dy(1)) {
      inner = m.b.add(inner, m.b.mul(m.gaps(g.output(0)), m.mul(v, g.dy(1), true)));
    }
  } else {
    const std::vector<Endpoint> eig = m.b.ops("SelfAdjointEigV2", {g.input(0)});
    if (eig.size() < 2) return m.b.status();
    v = eig[1];
  }
  const Endpoint dx = m.mul(v, m.mul(inner, v, false, true));
  const Endpoint folded = m.lower(m.b.add(dx, m.adjoint(dx)));
  g.set_dx(0, m.set_diag(folded, m.scaled(m.diag_part(folded), 0.5)));
  return absl::OkStatus();
}

// linalg_grad.py: _EigGrad.
Status eig_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  Endpoint v, inner = m.diag(g.dy(0));
  if (g.attr<bool>("compute_v")) {
    v = g.output(1);
    if (g.has_dy(1)) {
      const Endpoint v_dv = m.mul(v, g.dy(1), true);
      const Endpoint along = m.diag(m.diag_part(m.real_part(v_dv)));
      const Endpoint across = m.b.sub(v_dv, m.mul(m.mul(v, v, true), along));
      inner = m.b.add(inner, m.b.mul(m.conj(m.gaps(g.output(0))), across));
    }
  } else {
    const std::vector<Endpoint> eig =
        m.b.ops("Eig", {g.input(0)}, {{"Tout", m.b.dtype(g.output(0))}});
    if (eig.size() < 2) return m.b.status();
    v = eig[1];
  }
  const Endpoint vh = m.adjoint(v);
  const Endpoint dx = m.b.op("MatrixSolve", {vh, m.mul(inner, vh)});
  g.set_dx(0, m.b.cast(dx, g.input_dtype(0)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(SelfAdjointEigV2) = {
    .inputs = "input: T",
    .outputs = "e: T, v: T",
    .attrs = "compute_v: bool = true; T: {double, float, half, complex64, complex128}",
    .shape = eig_shape,
    .gradient = self_adjoint_eig_gradient,
    .kernels = {make_self_adjoint_eig},
};
TENON_OP(BatchSelfAdjointEigV2) = {
    .inputs = "input: T",
    .outputs = "e: T, v: T",
    .attrs = "compute_v: bool = true; T: {double, float}",
    .shape = eig_shape,
    .gradient = not_differentiable,
    .kernels = {make_self_adjoint_eig},
};
TENON_OP(SelfAdjointEig) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {double, float, half}",
    .shape = self_adjoint_eig_v1_shape,
    .gradient = not_differentiable,
    .kernels = {make_self_adjoint_eig_v1},
};
TENON_OP(BatchSelfAdjointEig) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {double, float}",
    .shape = self_adjoint_eig_v1_shape,
    .gradient = not_differentiable,
    .kernels = {make_self_adjoint_eig_v1},
};
TENON_OP(Eig) = {
    .inputs = "input: T",
    .outputs = "e: Tout, v: Tout",
    .attrs =
        "compute_v: bool = true; T: {float, double, complex64, complex128}; "
        "Tout: {complex64, complex128}",
    .shape = eig_shape,
    .gradient = eig_gradient,
    .kernels = {make_eig},
};

}  // namespace tenon
