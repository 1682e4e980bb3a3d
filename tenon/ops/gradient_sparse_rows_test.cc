// Sparse and ragged ops: indices are constants, values are differentiated.
#include "tenon/ops/gradient_rows_test.h"

namespace tenon::gradient_rows {
namespace {

Tensor long_matrix(int64_t rows, int64_t columns, std::initializer_list<int64_t> values) {
  return Tensor::from<int64_t>({rows, columns}, std::vector<int64_t>(values));
}
Tensor longs(std::initializer_list<int64_t> values) { return Tensor::vector<int64_t>(values); }

// The sum of squares of output `output`, whose size follows from data.
auto squares(std::string op, int output, Attrs attrs = {}) {
  return [=](GraphBuilder& b, const Endpoints& in) {
    const Endpoint y = b.ops(op, in, attrs)[static_cast<size_t>(output)];
    const Endpoint flat = b.reshape(b.mul(y, y), b.integers({-1}));
    return Endpoints{b.sum(flat, std::array<int64_t, 1>{0})};
  };
}

}  // namespace

std::vector<Row> sparse_rows() {
  const Tensor places = long_matrix(3, 2, {0, 1, 1, 0, 1, 2}), shape = longs({2, 3});
  const Tensor mixed = long_matrix(3, 2, {1, 2, 0, 1, 1, 0}), gap = longs({4, 3});
  std::vector<Row> rows = {
      {"SparseToDense", {places, shape, x({3}), x({})}},
      {"SparseReorder", {mixed, x({3}), shape}, {}, squares("SparseReorder", 1)},
      {"SparseSlice",
       {places, x({3}), shape, longs({1, 0}), longs({1, 3})},
       {},
       squares("SparseSlice", 1)},
      {"SparseFillEmptyRows", {places, x({3}), gap, x({})}, {}, squares("SparseFillEmptyRows", 1)},
      {"SparseReduceSum", {places, x({3}), shape, ints({-1})}},
      {"SparseReduceSum", {places, x({3}), shape, ints({0})}, {{"keep_dims", true}}},
      {"SparseTensorDenseMatMul", {places, x({3}), shape, x({3, 2})}},
      {"SparseTensorDenseMatMul",
       {places, x({3}), shape, x({4, 2})},
       {{"adjoint_a", true}, {"adjoint_b", true}}},
  };
  const Tensor others = long_matrix(2, 2, {0, 1, 0, 2});
  rows.push_back({"SparseAdd",
                  {places, x({3}), shape, others, x({2}), shape, Tensor::scalar<double>(0)},
                  {},
                  squares("SparseAdd", 1)});
  rows.push_back({"SparseTensorDenseAdd", {places, x({3}), shape, x({2, 3})}});
  rows.push_back({"SparseSoftmax", {places, x({3}), shape}});
  for (const char* op : {"SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv"}) {
    rows.push_back({op, {places, x({3}), shape, x({2, 3}, 0.5, 1.5)}});
    rows.push_back({op, {places, x({3}), shape, x({1, 3}, 0.5, 1.5)}});
    rows.push_back({op, {places, x({3}), shape, x({3}, 0.5, 1.5)}});
  }
  for (const char* op : {"SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"}) {
    rows.push_back({op, {x({4, 2}), ints({3, 0, 3}), ints({0, 0, 2})}, {}, squares(op, 0)});
    rows.push_back(
        {cat(op, "WithNumSegments"), {x({4, 2}), ints({3, 0, 3}), ints({0, 0, 2}), scalar(4)}});
  }
  const Tensor splits = longs({0, 2, 2, 3});
  const std::vector<std::string> types{"ROW_SPLITS"};
  const Attrs padding{{"row_partition_types", types}, {"num_row_partition_tensors", int64_t{1}}};
  rows.push_back({"RaggedTensorToTensor", {longs({3, 2}), x({3}), x({}), splits}, padding});
  rows.push_back({"RaggedTensorToTensor", {longs({2, 3, 2}), x({3, 2}), x({2}), splits}, padding});
  // Into a variant, whole or row by row, and back.
  for (bool batched : {false, true}) {
    for (const char* op : {"RaggedTensorToVariant", "RaggedTensorFromVariant"}) {
      rows.push_back({op, {splits, x({3, 2})}, {}, [batched](GraphBuilder& b, const Endpoints& in) {
                        const Endpoint variant =
                            b.op("RaggedTensorToVariant", in,
                                 {{"RAGGED_RANK", int64_t{1}}, {"batched_input", batched}});
                        const Endpoint values =
                            b.ops("RaggedTensorFromVariant", {variant},
                                  {{"input_ragged_rank", int64_t{batched ? 0 : 1}},
                                   {"output_ragged_rank", int64_t{1}},
                                   {"Tvalues", DType::kDouble}})[1];
                        const Endpoint flat = b.reshape(b.mul(values, values), b.integers({-1}));
                        return Endpoints{b.sum(flat, std::array<int64_t, 1>{0})};
                      }});
    }
  }
  // Values of a sparse matrix, and what is made of it.
  const auto matrix_row = [&](const char* op, std::vector<Input> inputs, auto made) {
    rows.push_back({op, std::move(inputs), {}, [made](GraphBuilder& b, const Endpoints& in) {
                      const Endpoint y = made(b, in);
                      const Endpoint flat = b.reshape(b.mul(y, y), b.integers({-1}));
                      return Endpoints{b.sum(flat, std::array<int64_t, 1>{0})};
                    }});
  };
  static const Attrs kDouble{{"type", DType::kDouble}};
  const auto sparse = [](GraphBuilder& b, const Endpoints& in) {
    return b.op("SparseTensorToCSRSparseMatrix", {in[0], in[1], in[2]});
  };
  const auto dense = [sparse](GraphBuilder& b, const Endpoints& in) {
    return b.op("CSRSparseMatrixToDense", {sparse(b, in)}, kDouble);
  };
  const auto picked = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint matrix = b.op("DenseToCSRSparseMatrix", {in[0], in[1]});
    return b.ops("CSRSparseMatrixToSparseTensor", {matrix}, kDouble)[1];
  };
  matrix_row("SparseTensorToCSRSparseMatrix", {places, x({3}), shape}, dense);
  matrix_row("CSRSparseMatrixToDense", {places, x({3}), shape}, dense);
  matrix_row("DenseToCSRSparseMatrix", {x({2, 3}), places}, picked);
  matrix_row("CSRSparseMatrixToSparseTensor", {x({2, 3}), places}, picked);
  matrix_row("SparseMatrixTranspose", {places, x({3}), shape},
             [sparse](GraphBuilder& b, const Endpoints& in) {
               const Endpoint turned = b.op("SparseMatrixTranspose", {sparse(b, in)}, kDouble);
               return b.op("CSRSparseMatrixToDense", {turned}, kDouble);
             });
  matrix_row("SparseMatrixMatMul", {places, x({3}), shape, x({3, 2})},
             [sparse](GraphBuilder& b, const Endpoints& in) {
               return b.op("SparseMatrixMatMul", {sparse(b, in), in[3]});
             });
  const Tensor labels = long_matrix(3, 2, {0, 0, 0, 1, 1, 0});
  rows.push_back(
      {"CTCLoss", {x({5, 2, 4}), labels, ints({1, 1, 2}), ints({5, 3})}, {}, first("CTCLoss")});
  rows.push_back({"RaggedTensorToSparse",
                  {splits, x({3})},
                  {},
                  squares("RaggedTensorToSparse", 1, {{"RAGGED_RANK", int64_t{1}}})});
  rows.push_back({"RaggedFillEmptyRows",
                  {longs({0, 2, 2}), x({3}), Tensor::scalar<int64_t>(4), x({})},
                  {},
                  squares("RaggedFillEmptyRows", 1)});
  rows.push_back(
      {"RaggedGather",
       {splits, x({3}), ints({2, 0, 2})},
       {},
       squares("RaggedGather", 1,
               {{"PARAMS_RAGGED_RANK", int64_t{1}}, {"OUTPUT_RAGGED_RANK", int64_t{1}}})});
  return rows;
}

}  // namespace tenon::gradient_rows
