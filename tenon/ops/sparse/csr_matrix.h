// Sparse matrices by compressed rows, as the CSR ops keep them in a variant.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

// A matrix, or a batch of matrices of one size, of float, double, complex64 or complex128.
// Immutable once it is an output. What makes one keeps columns inside and row starts ascending.
class CsrMatrix final : public Object {
 public:
  struct Part {
    std::vector<int32_t> row_starts;  // rows + 1
    std::vector<int32_t> columns;
    int64_t first_value = 0;  // the values of its first row begin here
  };

  // `shape` of two or three dimensions; each part empty.
  CsrMatrix(DType dtype, Shape shape);
  static constexpr std::string_view kTypeName = "CSRSparseMatrix";
  std::string_view type_name() const override { return kTypeName; }

  int64_t rows() const { return shape[shape.rank() - 2]; }
  int64_t cols() const { return shape[shape.rank() - 1]; }
  int64_t nonzeros() const { return values.num_elements(); }

  const DType dtype;
  const Shape shape;
  std::vector<Part> parts;  // one for each matrix of the batch
  Tensor values;            // [nonzeros]
};

using CsrTypes = TypeList<float, double, std::complex<float>, std::complex<double>>;
inline constexpr char kCsrType[] = "type: {float, double, complex64, complex128}";

// The matrix at input `index`. INVALID_ARGUMENT when there is none, or one of another dtype.
StatusOr<const CsrMatrix*> csr_of(const KernelRun& r, int index, DType dtype = DType::kInvalid);

// An empty matrix. INVALID_ARGUMENT unless `shape` has two or three dimensions whose sizes fit in
// int32, RESOURCE_EXHAUSTED where its row starts would be too many.
StatusOr<Ref<CsrMatrix>> new_csr(DType dtype, const Shape& shape);

// For each value of `matrix`, in order: call(batch, row, column, number of the value).
template <class Call>
void for_each_nonzero(const CsrMatrix& matrix, const Call& call) {
  for (size_t batch = 0; batch < matrix.parts.size(); ++batch) {
    const CsrMatrix::Part& part = matrix.parts[batch];
    for (int64_t row = 0; row < matrix.rows(); ++row) {
      for (int32_t i = part.row_starts[static_cast<size_t>(row)];
           i < part.row_starts[static_cast<size_t>(row) + 1]; ++i) {
        call(static_cast<int64_t>(batch), row, int64_t{part.columns[static_cast<size_t>(i)]},
             part.first_value + i);
      }
    }
  }
}

// The matrix with rows and columns exchanged; `conjugate`: and each value conjugated.
StatusOr<Ref<CsrMatrix>> transposed(const CsrMatrix& matrix, bool conjugate);

inline void set_csr(KernelRun& r, Ref<CsrMatrix> matrix) {
  r.set_output(0, Tensor::object(DType::kVariant, std::move(matrix)));
}

}  // namespace tenon
