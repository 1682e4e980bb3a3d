// MatrixSquareRoot, MatrixLogarithm, MatrixExponential.
#include "tenon/ops/linalg/eigen_matrix.h"
#include "tenon/ops/linalg/matrix_graph.h"
// After Eigen's settings.
#include <eigen3/unsupported/Eigen/MatrixFunctions>

namespace tenon {
namespace {

using ComplexMatrix = Dense<std::complex<double>>;

// Functions are taken of complex matrices. A real matrix whose result is not real has none: NaN.
template <class T>
void store_function(const ComplexMatrix& y, T* to) {
  if constexpr (Eigen::NumTraits<T>::IsComplex) {
    narrow_matrix(y, to);
  } else {
    const bool real = y.imag().norm() <= 1e-6 * y.norm();
    for (Eigen::Index i = 0; i < y.size(); ++i) {
      to[i] = real ? static_cast<T>(y.data()[i].real()) : std::numeric_limits<T>::quiet_NaN();
    }
  }
}

// Eigen's logarithm takes roots until the matrix is near the identity, which those of a singular
// one never are; none of its functions ends on NaN or infinities.
ComplexMatrix logarithm(const ComplexMatrix& x) {
  const Eigen::ComplexSchur<ComplexMatrix> schur(x, false);
  const double largest = schur.matrixT().diagonal().cwiseAbs().maxCoeff();
  const double smallest = schur.matrixT().diagonal().cwiseAbs().minCoeff();
  if (schur.info() == Eigen::Success && smallest > largest * 1e-300) return x.log();
  return ComplexMatrix::Constant(x.rows(), x.cols(), std::numeric_limits<double>::quiet_NaN());
}

template <class T>
Kernel matrix_function(const Matrices& m, ComplexMatrix (*function)(const ComplexMatrix&)) {
  return [m, function](KernelRun& r) {
    if (m.size() == 0) return absl::OkStatus();
    return for_each_matrix(m.count, 20 * cube(m.rows), [&](int64_t i) -> Status {
      const ComplexMatrix x =
          wide_matrix_at<T>(r.input(0), m, i).template cast<std::complex<double>>();
      const double nan = std::numeric_limits<double>::quiet_NaN();
      store_function<T>(x.allFinite() ? function(x) : ComplexMatrix::Constant(m.rows, m.rows, nan),
                        r.out<T>(0) + i * m.size());
      return absl::OkStatus();
    });
  };
}

StatusOr<Kernel> make_square_root(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() {
    return matrix_function<T>(m, [](const ComplexMatrix& x) { return ComplexMatrix(x.sqrt()); });
  });
}
StatusOr<Kernel> make_logarithm(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  using Types = TypeList<std::complex<float>, std::complex<double>>;
  return matrix_kernel<Types>(p, [&]<class T>() { return matrix_function<T>(m, logarithm); });
}
StatusOr<Kernel> make_exponential(Prepare& p) {
  const Matrices m = matrices_of(p.input_shape(0));
  return matrix_kernel<MatrixTypes>(p, [&]<class T>() {
    return matrix_function<T>(m, [](const ComplexMatrix& x) { return ComplexMatrix(x.exp()); });
  });
}

// [batch..., dims...] for the batch of `x`, as a tensor.
Endpoint shape_in_batch(MatrixGraph& m, Endpoint x, std::vector<Endpoint> dims) {
  const Endpoint batch = m.b.slice(m.b.shape_of(x), 0, -2);
  return m.b.concat({batch, m.b.op("Pack", std::move(dims))}, 0);
}

// The Sylvester equation R^T dX^T + dX^T R^T = dY^T as one linear system of n^2 unknowns:
// linalg_grad.py, _MatrixSquareRootGrad (Lin and Maji, "Improved bilinear pooling with CNNs").
Status square_root_gradient(Gradient& g) {
  MatrixGraph m(g.build());
  GraphBuilder& b = m.b;
  const Endpoint root = g.output(0);
  const Endpoint ones = b.op("OnesLike", {m.diag_part(root)});
  const Endpoint eye = m.diag(ones);
  const Endpoint size = b.dim(root, -1);
  const Endpoint square = b.mul(size, size);
  const auto kronecker = [&](Endpoint x, Endpoint y) {
    const Endpoint product = b.op(
        "Einsum", {x, y}, {{"equation", std::string("...ij,...kl->...ikjl")}, {"N", int64_t{2}}});
    return b.reshape(product, shape_in_batch(m, root, {square, square}));
  };
  const Endpoint sum = b.add(kronecker(eye, m.transpose(root)), kronecker(root, eye));
  const Endpoint flat =
      b.reshape(m.transpose(g.dy()), shape_in_batch(m, root, {square, b.scalar(int32_t{1})}));
  const Endpoint solution = b.op("MatrixSolve", {sum, flat});
  g.set_dx(0, m.transpose(b.reshape(solution, b.shape_of(root))));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MatrixSquareRoot) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {double, float, half, complex64, complex128}",
    .shape = square_shape,
    .rows = matrix_rows,
    .gradient = square_root_gradient,
    .kernels = {make_square_root},
};
TENON_OP(MatrixLogarithm) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {complex64, complex128}",
    .shape = square_shape,
    .rows = matrix_rows,
    .gradient = not_differentiable,
    .kernels = {make_logarithm},
};
TENON_OP(MatrixExponential) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {double, float, half, complex64, complex128}",
    .shape = square_shape,
    .rows = matrix_rows,
    .gradient = not_differentiable,
    .kernels = {make_exponential},
};

}  // namespace tenon
