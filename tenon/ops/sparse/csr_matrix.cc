// The CSR ops that make matrices and take them apart: SparseTensorToCSRSparseMatrix,
// DenseToCSRSparseMatrix, CSRSparseMatrixToSparseTensor, CSRSparseMatrixToDense,
// CSRSparseMatrixComponents, SparseMatrixNNZ, SparseMatrixTranspose.
// tensorflow/core/kernels/sparse.
#include "tenon/ops/sparse/csr_matrix.h"

#include "tenon/graph/gradient.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {

CsrMatrix::CsrMatrix(DType dtype, Shape shape)
    : dtype(dtype), shape(std::move(shape)), values(dtype, Shape{0}) {
  parts.resize(static_cast<size_t>(this->shape.rank() == 3 ? this->shape[0] : 1));
  for (Part& part : parts) part.row_starts.resize(static_cast<size_t>(rows()) + 1);
}

StatusOr<const CsrMatrix*> csr_of(const KernelRun& r, int index, DType dtype) {
  const auto* matrix = r.input(index).object_as<CsrMatrix>();
  if (!matrix) return invalid_argument("input ", index, " holds no CSRSparseMatrix");
  if (dtype != DType::kInvalid && matrix->dtype != dtype) {
    return invalid_argument("dtype of input ", index, " is not equal to 'type': ", matrix->dtype,
                            " vs. ", dtype);
  }
  return matrix;
}

StatusOr<Ref<CsrMatrix>> new_csr(DType dtype, const Shape& shape) {
  constexpr int64_t kMostRows = int64_t{1} << 28;
  if (shape.rank() != 2 && shape.rank() != 3) {
    return invalid_argument("SparseTensor must have rank 2 or 3; but indices has rank: ",
                            shape.rank());
  }
  for (int64_t dim : shape.dims()) {
    if (dim > std::numeric_limits<int32_t>::max()) {
      return invalid_argument("a CSR matrix has dimensions of 32 bits, not ", shape);
    }
  }
  const int64_t batches = shape.rank() == 3 ? shape[0] : 1;
  if (batches > kMostRows ||
      (shape[shape.rank() - 2] + 1) * std::max<int64_t>(1, batches) > kMostRows) {
    return resource_exhausted("a CSR matrix of shape ", shape);
  }
  return make_ref<CsrMatrix>(dtype, shape);
}

StatusOr<Ref<CsrMatrix>> transposed(const CsrMatrix& matrix, bool conjugate) {
  Shape shape = matrix.shape;
  shape.set(shape.rank() - 2, matrix.cols());
  shape.set(shape.rank() - 1, matrix.rows());
  TENON_ASSIGN_OR_RETURN(Ref<CsrMatrix> result, new_csr(matrix.dtype, shape));
  result->values = Tensor(matrix.dtype, matrix.values.shape());
  for (size_t i = 0; i < matrix.parts.size(); ++i) {
    CsrMatrix::Part& part = result->parts[i];
    part.first_value = matrix.parts[i].first_value;
    part.columns.resize(matrix.parts[i].columns.size());
    for (int32_t column : matrix.parts[i].columns)
      ++part.row_starts[static_cast<size_t>(column) + 1];
    for (size_t row = 1; row < part.row_starts.size(); ++row) {
      part.row_starts[row] += part.row_starts[row - 1];
    }
  }
  visit<CsrTypes>(matrix.dtype, [&]<class T>() {
    const T* x = matrix.values.data<T>();
    T* y = result->values.mutable_data<T>();
    std::vector<std::vector<int32_t>> ends;
    for (const CsrMatrix::Part& part : result->parts) ends.push_back(part.row_starts);
    for_each_nonzero(matrix, [&](int64_t batch, int64_t row, int64_t column, int64_t from) {
      const auto part = static_cast<size_t>(batch);
      const int32_t to = ends[part][static_cast<size_t>(column)]++;
      result->parts[part].columns[static_cast<size_t>(to)] = static_cast<int32_t>(row);
      T value = x[from];
      if constexpr (!std::is_floating_point_v<T>) value = conjugate ? std::conj(value) : value;
      y[result->parts[part].first_value + to] = value;
    });
  });
  return result;
}

namespace {

// Fills in rows and columns from coordinates, which must be sorted.
Status set_coordinates(CsrMatrix& matrix, const Coordinates& at) {
  if (at.rank != matrix.shape.rank()) {
    return invalid_argument("indices of rank ", at.rank, " for a matrix of shape ", matrix.shape);
  }
  TENON_RETURN_IF_ERROR(check_bounds(at, matrix.shape));
  if (at.count > std::numeric_limits<int32_t>::max()) {
    return invalid_argument("a CSR matrix has at most 2^31 values, not ", at.count);
  }
  for (int64_t i = 0; i < at.count; ++i) {
    const auto row = at.row(i);
    if (i > 0 && !std::ranges::lexicographical_compare(at.row(i - 1), row)) {
      return invalid_argument("indices[", i, "] is out of order or repeated");
    }
    CsrMatrix::Part& part = matrix.parts[row.size() == 3 ? static_cast<size_t>(row[0]) : 0];
    if (part.columns.empty()) part.first_value = i;
    part.columns.push_back(static_cast<int32_t>(row[row.size() - 1]));
    ++part.row_starts[static_cast<size_t>(row[row.size() - 2]) + 1];
  }
  for (CsrMatrix::Part& part : matrix.parts) {
    for (size_t i = 1; i < part.row_starts.size(); ++i) {
      part.row_starts[i] += part.row_starts[i - 1];
    }
  }
  return absl::OkStatus();
}

Status from_sparse_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  c.set_output(0, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_csr_from_sparse(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
    TENON_ASSIGN_OR_RETURN(Ref<CsrMatrix> matrix, new_csr(r.input(1).dtype(), shape));
    TENON_RETURN_IF_ERROR(set_coordinates(*matrix, Coordinates(r.input(0))));
    matrix->values = r.input(1).keep();
    set_csr(r, std::move(matrix));
    return absl::OkStatus();
  });
}

Status csr_from_dense_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape& dense = c.input(0);
  if (dense.has_rank() && dense.rank() != 2 && dense.rank() != 3) {
    return invalid_argument("Dense tensor must have rank 2 or 3, not ", dense);
  }
  const PartialShape& indices = c.input(1);
  if (dense.has_rank() && indices.has_rank() && indices[1] >= 0 && indices[1] != dense.rank()) {
    return invalid_argument("indices of shape ", indices, " for a tensor of shape ", dense);
  }
  c.set_output(0, Shape());
  return absl::OkStatus();
}

// Where the value of a matrix lies in the dense tensor.
int64_t dense_offset(const CsrMatrix& matrix, int64_t batch, int64_t row, int64_t column) {
  return (batch * matrix.rows() + row) * matrix.cols() + column;
}

StatusOr<Kernel> make_csr_from_dense(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    const Tensor& dense = r.input(0);
    TENON_ASSIGN_OR_RETURN(Ref<CsrMatrix> matrix, new_csr(dense.dtype(), dense.shape()));
    TENON_RETURN_IF_ERROR(set_coordinates(*matrix, Coordinates(r.input(1))));
    matrix->values = Tensor(dense.dtype(), Shape{r.input(1).dim(0)});
    visit<CsrTypes>(dense.dtype(), [&]<class T>() {
      T* values = matrix->values.mutable_data<T>();
      for_each_nonzero(*matrix, [&](int64_t batch, int64_t row, int64_t column, int64_t i) {
        values[i] = dense.data<T>()[dense_offset(*matrix, batch, row, column)];
      });
    });
    set_csr(r, std::move(matrix));
    return absl::OkStatus();
  });
}

Status sparse_from_csr_shape(ShapeContext& c) {
  c.set_output(0, {-1, -1});
  c.set_output(1, {-1});
  c.set_output(2, {-1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_from_csr(Prepare& p) {
  return Kernel([dtype = p.output_dtype(1)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const CsrMatrix* matrix, csr_of(r, 0, dtype));
    const int rank = matrix->shape.rank();
    TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{matrix->nonzeros(), rank}));
    auto* at = r.out<int64_t>(0);
    for_each_nonzero(*matrix, [&](int64_t batch, int64_t row, int64_t column, int64_t) {
      if (rank == 3) *at++ = batch;
      *at++ = row;
      *at++ = column;
    });
    r.set_output(1, matrix->values);
    r.set_output(2, Tensor::vector<int64_t>(matrix->shape.dims()));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_dense_from_csr(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const CsrMatrix* matrix, csr_of(r, 0, dtype));
    TENON_RETURN_IF_ERROR(r.allocate_output(0, matrix->shape));
    visit<CsrTypes>(dtype, [&]<class T>() {
      T* y = r.out<T>(0);
      std::fill_n(y, matrix->shape.num_elements(), T());
      for_each_nonzero(*matrix, [&](int64_t batch, int64_t row, int64_t column, int64_t i) {
        y[dense_offset(*matrix, batch, row, column)] = matrix->values.data<T>()[i];
      });
    });
    return absl::OkStatus();
  });
}

Status csr_components_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  for (int i = 0; i < 3; ++i) c.set_output(i, {-1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_csr_components(Prepare& p) {
  return Kernel([dtype = p.output_dtype(2)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const CsrMatrix* matrix, csr_of(r, 0, dtype));
    const int64_t index = integer_at(r.input(1), 0);
    if (index < 0 || index >= static_cast<int64_t>(matrix->parts.size())) {
      return invalid_argument("index (", index, ") not in [0, ", matrix->parts.size(), ")");
    }
    const CsrMatrix::Part& part = matrix->parts[static_cast<size_t>(index)];
    r.set_output(0, Tensor::vector<int32_t>(part.row_starts));
    r.set_output(1, Tensor::vector<int32_t>(part.columns));
    r.set_output(2,
                 matrix->values.slice(part.first_value, static_cast<int64_t>(part.columns.size())));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_csr_nonzeros(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const CsrMatrix* matrix, csr_of(r, 0));
    const int64_t batches = static_cast<int64_t>(matrix->parts.size());
    TENON_RETURN_IF_ERROR(
        r.allocate_output(0, matrix->shape.rank() == 3 ? Shape{batches} : Shape()));
    for (int64_t i = 0; i < batches; ++i) {
      r.out<int32_t>(0)[i] =
          static_cast<int32_t>(matrix->parts[static_cast<size_t>(i)].columns.size());
    }
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_csr_transpose(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("type"),
                 conjugate = p.attr<bool>("conjugate")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const CsrMatrix* matrix, csr_of(r, 0, dtype));
    TENON_ASSIGN_OR_RETURN(Ref<CsrMatrix> result, transposed(*matrix, conjugate));
    set_csr(r, std::move(result));
    return absl::OkStatus();
  });
}

// Gradients as in tensorflow/python/ops/linalg/sparse/sparse_csr_matrix_grad.py.

Status csr_from_sparse_gradient(Gradient& g) {
  g.set_dx(
      1, g.build().ops("CSRSparseMatrixToSparseTensor", {g.dy()}, {{"type", g.input_dtype(1)}})[1]);
  return absl::OkStatus();
}

Status csr_from_dense_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("CSRSparseMatrixToDense", {g.dy()}, {{"type", g.input_dtype(0)}}));
  return absl::OkStatus();
}

Status sparse_from_csr_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("SparseTensorToCSRSparseMatrix", {g.output(0), g.dy(1), g.output(2)}));
  return absl::OkStatus();
}

Status dense_from_csr_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const std::vector<Endpoint> sparse =
      b.ops("CSRSparseMatrixToSparseTensor", {g.input(0)}, {{"type", g.attr<DType>("type")}});
  if (!sparse.empty()) g.set_dx(0, b.op("DenseToCSRSparseMatrix", {g.dy(), sparse[0]}));
  return absl::OkStatus();
}

Status csr_transpose_gradient(Gradient& g) {
  g.set_dx(
      0, g.build().op("SparseMatrixTranspose", {g.dy()},
                      {{"type", g.attr<DType>("type")}, {"conjugate", g.attr<bool>("conjugate")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(SparseTensorToCSRSparseMatrix) = {
    .inputs = "indices: int64, values: T, dense_shape: int64",
    .outputs = "sparse_matrix: variant",
    .attrs = "T: {float, double, complex64, complex128}",
    .supplies_outputs = true,
    .shape = from_sparse_shape,
    .gradient = csr_from_sparse_gradient,
    .kernels = {make_csr_from_sparse},
};
TENON_OP(DenseToCSRSparseMatrix) = {
    .inputs = "dense_input: T, indices: int64",
    .outputs = "sparse_output: variant",
    .attrs = "T: {float, double, complex64, complex128}",
    .supplies_outputs = true,
    .shape = csr_from_dense_shape,
    .gradient = csr_from_dense_gradient,
    .kernels = {make_csr_from_dense},
};
TENON_OP(CSRSparseMatrixToSparseTensor) = {
    .inputs = "sparse_matrix: variant",
    .outputs = "indices: int64, values: type, dense_shape: int64",
    .attrs = kCsrType,
    .supplies_outputs = true,
    .shape = sparse_from_csr_shape,
    .gradient = sparse_from_csr_gradient,
    .kernels = {make_sparse_from_csr},
};
TENON_OP(CSRSparseMatrixToDense) = {
    .inputs = "sparse_input: variant",
    .outputs = "dense_output: type",
    .attrs = kCsrType,
    .shape = unknown_shape,
    .gradient = dense_from_csr_gradient,
    .kernels = {make_dense_from_csr},
};
TENON_OP(CSRSparseMatrixComponents) = {
    .inputs = "csr_sparse_matrix: variant, index: int32",
    .outputs = "row_ptrs: int32, col_inds: int32, values: type",
    .attrs = kCsrType,
    .supplies_outputs = true,
    .shape = csr_components_shape,
    .gradient = not_differentiable,
    .kernels = {make_csr_components},
};
TENON_OP(SparseMatrixNNZ) = {
    .inputs = "sparse_matrix: variant",
    .outputs = "nnz: int32",
    .shape = unknown_shape,
    .gradient = not_differentiable,
    .kernels = {make_csr_nonzeros},
};
TENON_OP(SparseMatrixTranspose) = {
    .inputs = "input: variant",
    .outputs = "output: variant",
    .attrs = "conjugate: bool = false; type: {float, double, complex64, complex128}",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = csr_transpose_gradient,
    .kernels = {make_csr_transpose},
};

}  // namespace tenon
