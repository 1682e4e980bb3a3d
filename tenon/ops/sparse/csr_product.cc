// SparseMatrixMatMul and SparseMatrixSparseMatMul: products of a CSR matrix with a dense tensor and
// with another CSR matrix. tensorflow/core/kernels/sparse/{mat_mul_op,sparse_mat_mul_op}.cc
#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/sparse/csr_matrix.h"

namespace tenon {
namespace {

// How a factor is taken.
struct Turn {
  bool transpose = false;
  bool conjugate = false;  // of a transpose
};

StatusOr<Turn> turn_of(const Prepare& p, const std::string& side) {
  const bool transpose = p.attr<bool>("transpose_" + side),
             adjoint = p.attr<bool>("adjoint_" + side);
  if (transpose && adjoint) {
    return invalid_argument("Only one of adjoint_", side, " and transpose_", side, " may be true.");
  }
  return Turn{transpose || adjoint, adjoint};
}

template <class T>
T conjugated(T value, bool conjugate) {
  if constexpr (!std::is_floating_point_v<T>) return conjugate ? std::conj(value) : value;
  return value;
}

struct DenseProduct {
  Turn a, b;
  bool transpose_output = false, conjugate_output = false;
};

// The product of one matrix of the batch, row by row of `a`; each row is added up by one thread in
// the order of its columns.
template <class T>
void multiply_dense(const CsrMatrix& a, size_t batch, const T* b, Turn turn, int64_t columns,
                    const DenseProduct& form, T* y) {
  const CsrMatrix::Part& part = a.parts[batch];
  const T* values = a.values.data<T>() + part.first_value;
  const int64_t rows = a.rows(), inner = a.cols();
  const int64_t work = std::max<int64_t>(
      1, columns * (int64_t(part.columns.size()) / std::max<int64_t>(1, rows) + 1));
  parallel_for(rows, std::max<int64_t>(1, 8192 / work), [&](int64_t begin, int64_t end) {
    std::vector<T> sums(static_cast<size_t>(columns));
    for (int64_t row = begin; row < end; ++row) {
      std::ranges::fill(sums, T());
      for (int32_t i = part.row_starts[static_cast<size_t>(row)];
           i < part.row_starts[static_cast<size_t>(row) + 1]; ++i) {
        const int64_t k = part.columns[static_cast<size_t>(i)];
        for (int64_t j = 0; j < columns; ++j) {
          const T factor = turn.transpose ? b[j * inner + k] : b[k * columns + j];
          sums[static_cast<size_t>(j)] += values[i] * conjugated(factor, turn.conjugate);
        }
      }
      for (int64_t j = 0; j < columns; ++j) {
        y[form.transpose_output ? j * rows + row : row * columns + j] =
            conjugated(sums[static_cast<size_t>(j)], form.conjugate_output);
      }
    }
  });
}

Status run_dense_product(KernelRun& r, const DenseProduct& form) {
  const Tensor& b = r.input(1);
  TENON_ASSIGN_OR_RETURN(const CsrMatrix* a, csr_of(r, 0, b.dtype()));
  Ref<CsrMatrix> turned;
  if (form.a.transpose) {
    TENON_ASSIGN_OR_RETURN(turned, transposed(*a, form.a.conjugate));
    a = turned.get();
  }
  const int rank = b.rank();
  if (a->shape.rank() != rank) {
    return invalid_argument("Ranks of a and b must match, saw ranks: ", a->shape.rank(), " vs. ",
                            rank, ".");
  }
  if (rank == 3 && a->shape[0] != b.dim(0)) {
    return invalid_argument("Batch size of a and b must be the same, saw batch sizes: ",
                            a->shape[0], " vs. ", b.dim(0));
  }
  const int64_t inner = b.dim(form.b.transpose ? rank - 1 : rank - 2);
  const int64_t columns = b.dim(form.b.transpose ? rank - 2 : rank - 1);
  if (a->cols() != inner) {
    return invalid_argument("Inner product dimensions of A and B do not agree.  Shapes are: ",
                            a->shape, " vs. ", b.shape());
  }
  Shape shape = b.shape();
  shape.set(rank - 2, form.transpose_output ? columns : a->rows());
  shape.set(rank - 1, form.transpose_output ? a->rows() : columns);
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  visit<CsrTypes>(b.dtype(), [&]<class T>() {
    for (size_t i = 0; i < a->parts.size(); ++i) {
      const auto batch = static_cast<int64_t>(i);
      multiply_dense(*a, i, b.data<T>() + batch * inner * columns, form.b, columns, form,
                     r.out<T>(0) + batch * a->rows() * columns);
    }
  });
  return absl::OkStatus();
}

Status dense_product_shape(ShapeContext& c) {
  const PartialShape& b = c.input(1);
  if (b.has_rank() && b.rank() != 2 && b.rank() != 3) {
    return invalid_argument("b must have rank 2 or 3, not ", b);
  }
  if (!b.has_rank()) return unknown_shape(c);
  PartialShape y = b;
  y.set(b.rank() - 2, -1);
  y.set(b.rank() - 1, -1);
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_dense_product(Prepare& p) {
  DenseProduct form;
  TENON_ASSIGN_OR_RETURN(form.a, turn_of(p, "a"));
  TENON_ASSIGN_OR_RETURN(form.b, turn_of(p, "b"));
  form.transpose_output = p.attr<bool>("transpose_output");
  form.conjugate_output = p.attr<bool>("conjugate_output");
  if (!visit<CsrTypes>(p.input_dtype(1), []<class T>() {})) {
    return unimplemented("products of ", p.input_dtype(1));
  }
  return Kernel([form](KernelRun& r) { return run_dense_product(r, form); });
}

// Matrix `batch` of the product, by Gustavson's algorithm: what is left of rows of `b` is added to
// the row of the result. Sums that are 0 stay, as in Eigen's product.
template <class T>
void multiply_sparse(const CsrMatrix& a, const CsrMatrix& b, size_t batch, CsrMatrix::Part& part,
                     std::vector<T>& values) {
  const CsrMatrix::Part &left = a.parts[batch], &right = b.parts[batch];
  const T* x = a.values.data<T>() + left.first_value;
  const T* w = b.values.data<T>() + right.first_value;
  part.first_value = static_cast<int64_t>(values.size());
  std::vector<T> sums(static_cast<size_t>(b.cols()));
  std::vector<bool> there(static_cast<size_t>(b.cols()));
  std::vector<int32_t> columns;
  for (size_t row = 0; row < static_cast<size_t>(a.rows()); ++row) {
    columns.clear();
    for (int32_t i = left.row_starts[row]; i < left.row_starts[row + 1]; ++i) {
      const auto k = static_cast<size_t>(left.columns[static_cast<size_t>(i)]);
      for (int32_t j = right.row_starts[k]; j < right.row_starts[k + 1]; ++j) {
        const auto column = static_cast<size_t>(right.columns[static_cast<size_t>(j)]);
        if (!there[column]) {
          there[column] = true;
          sums[column] = T();
          columns.push_back(static_cast<int32_t>(column));
        }
        sums[column] += x[i] * w[j];
      }
    }
    std::ranges::sort(columns);
    for (int32_t column : columns) {
      there[static_cast<size_t>(column)] = false;
      values.push_back(sums[static_cast<size_t>(column)]);
      part.columns.push_back(column);
    }
    part.row_starts[row + 1] = static_cast<int32_t>(part.columns.size());
  }
}

Status run_csr_product(KernelRun& r, DType dtype, Turn turn_a, Turn turn_b) {
  TENON_ASSIGN_OR_RETURN(const CsrMatrix* a, csr_of(r, 0, dtype));
  TENON_ASSIGN_OR_RETURN(const CsrMatrix* b, csr_of(r, 1, dtype));
  Ref<CsrMatrix> turned[2];
  if (turn_a.transpose) {
    TENON_ASSIGN_OR_RETURN(turned[0], transposed(*a, turn_a.conjugate));
    a = turned[0].get();
  }
  if (turn_b.transpose) {
    TENON_ASSIGN_OR_RETURN(turned[1], transposed(*b, turn_b.conjugate));
    b = turned[1].get();
  }
  if (a->shape.rank() != b->shape.rank()) {
    return invalid_argument("Ranks of a and b must match, saw ranks: ", a->shape.rank(), " vs. ",
                            b->shape.rank(), ".");
  }
  if (a->parts.size() != b->parts.size()) {
    return invalid_argument("Batch size of a and b must be the same, saw batch sizes: ",
                            a->parts.size(), " vs. ", b->parts.size());
  }
  if (a->cols() != b->rows()) {
    return invalid_argument("Inner product dimensions of A and B do not agree.  Shapes are: ",
                            a->shape, " vs. ", b->shape);
  }
  Shape shape = a->shape;
  shape.set(shape.rank() - 1, b->cols());
  TENON_ASSIGN_OR_RETURN(Ref<CsrMatrix> y, new_csr(dtype, shape));
  visit<CsrTypes>(dtype, [&]<class T>() {
    std::vector<T> values;
    for (size_t i = 0; i < y->parts.size(); ++i) multiply_sparse(*a, *b, i, y->parts[i], values);
    y->values = Tensor::vector<T>(values);
  });
  set_csr(r, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_csr_product(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const Turn a, turn_of(p, "a"));
  TENON_ASSIGN_OR_RETURN(const Turn b, turn_of(p, "b"));
  return Kernel([a, b, dtype = p.attr<DType>("type")](KernelRun& r) {
    return run_csr_product(r, dtype, a, b);
  });
}

// With respect to the dense factor, as TensorFlow's; TensorFlow's with respect to the sparse one
// picks the values of its places out of the dense product.
Status dense_product_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const DType dtype = g.input_dtype(1);
  for (const char* attr : {"transpose_a", "transpose_b", "adjoint_a", "adjoint_b",
                           "transpose_output", "conjugate_output"}) {
    if (g.attr<bool>(attr)) return unimplemented("the gradient of SparseMatrixMatMul with ", attr);
  }
  g.set_dx(1, b.op("SparseMatrixMatMul", {g.input(0), g.dy()}, {{"adjoint_a", true}}));
  const std::vector<Endpoint> sparse =
      b.ops("CSRSparseMatrixToSparseTensor", {g.input(0)}, {{"type", dtype}});
  if (sparse.empty()) return absl::OkStatus();
  const Endpoint dense = b.op("BatchMatMulV2", {g.dy(), g.input(1)}, {{"adj_y", true}});
  g.set_dx(0, b.op("DenseToCSRSparseMatrix", {dense, sparse[0]}));
  return absl::OkStatus();
}

// As TensorFlow's: products, pruned to the places of the factors.
Status csr_product_gradient(Gradient&) {
  return unimplemented("the gradient of SparseMatrixSparseMatMul");
}

}  // namespace

TENON_OP(SparseMatrixMatMul) = {
    .inputs = "a: variant, b: T",
    .outputs = "output: T",
    .attrs =
        "T: type; transpose_a: bool = false; transpose_b: bool = false; "
        "adjoint_a: bool = false; adjoint_b: bool = false; transpose_output: bool = false; "
        "conjugate_output: bool = false",
    .shape = dense_product_shape,
    .gradient = dense_product_gradient,
    .kernels = {make_dense_product},
};
TENON_OP(SparseMatrixSparseMatMul) = {
    .inputs = "a: variant, b: variant",
    .outputs = "c: variant",
    .attrs =
        "type: {float, double, complex64, complex128}; transpose_a: bool = false; "
        "transpose_b: bool = false; adjoint_a: bool = false; adjoint_b: bool = false",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = csr_product_gradient,
    .kernels = {make_csr_product},
};

}  // namespace tenon
