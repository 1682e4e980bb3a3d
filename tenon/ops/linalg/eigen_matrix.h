// Eigen's matrices over the elements of tensors. For .cc files only: it is slow to compile.
//
// Decompositions work on matrices of their own (Dense), never on the tensors' memory: Eigen peels
// vector loops by the address, and a matrix's bits must not depend on where in a batch it lies.
#pragma once

#define EIGEN_MPL2_ONLY
#define EIGEN_DONT_PARALLELIZE
#include <eigen3/Eigen/Core>

#include "tenon/ops/linalg/matrices.h"

namespace tenon {

template <class T>
using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
Eigen::Map<const Dense<T>> matrix_at(const Tensor& tensor, const Matrices& m, int64_t index) {
  return {tensor.data<T>() + index * m.size(), m.rows, m.columns};
}
template <class T>
Eigen::Map<Dense<T>> matrix_at(Tensor& tensor, const Matrices& m, int64_t index) {
  return {tensor.mutable_data<T>() + index * m.size(), m.rows, m.columns};
}

template <class T>
using RealOf = typename Eigen::NumTraits<T>::Real;

// Decompositions that are long to compile are made for doubles; the other dtypes are widened.
template <class T>
struct WideOf {
  using type = double;
};
template <class T>
struct WideOf<std::complex<T>> {
  using type = std::complex<double>;
};
template <class T>
using Wide = typename WideOf<T>::type;

template <class T>
Dense<Wide<T>> wide_matrix_at(const Tensor& tensor, const Matrices& m, int64_t index) {
  Dense<Wide<T>> wide(m.rows, m.columns);
  const T* x = tensor.data<T>() + index * m.size();
  for (int64_t i = 0; i < m.size(); ++i) wide.data()[i] = static_cast<Wide<T>>(x[i]);
  return wide;
}

// Writes the elements of `from` in their order.
template <class T, class W>
void narrow_matrix(const Dense<W>& from, T* to) {
  for (Eigen::Index i = 0; i < from.size(); ++i) to[i] = static_cast<T>(from.data()[i]);
}

inline double cube(int64_t n) {
  const auto x = static_cast<double>(n);
  return x * x * x;
}

}  // namespace tenon
