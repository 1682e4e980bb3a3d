// What gradient_test.cc differentiates: an op, its arguments, and what is done with its outputs.
#pragma once

#include <functional>
#include <variant>

#include "tenon/graph/gradient.h"

namespace tenon::gradient_rows {

using Endpoints = std::vector<Endpoint>;
using Attrs = AttrMap;
using Ints = std::vector<int64_t>;

// An argument that the gradient is asked of: made-up numbers in [low, high).
struct Range {
  Shape shape;
  double low = -1;
  double high = 1;
};
using Input = std::variant<Range, Tensor>;  // a Tensor is a constant

inline Range x(Shape shape, double low = -1, double high = 1) {
  return {std::move(shape), low, high};
}
inline Tensor ints(std::initializer_list<int32_t> values) {
  return Tensor::vector<int32_t>(values);
}
inline Tensor scalar(int32_t value) { return Tensor::scalar<int32_t>(value); }

struct Row {
  std::string op;
  std::vector<Input> inputs;
  Attrs attrs = {};
  // What is differentiated; empty: all outputs of one node of `op`.
  std::function<Endpoints(GraphBuilder&, const Endpoints&)> body = nullptr;
  DType dtype = DType::kDouble;  // of the arguments; float where there is no double kernel
};

// The first output of one node.
inline auto first(std::string op, Attrs attrs = {}) {
  return
      [op, attrs](GraphBuilder& b, const Endpoints& in) { return Endpoints{b.op(op, in, attrs)}; };
}

// Rows of families that have a file of their own.
std::vector<Row> movement_rows();
std::vector<Row> segment_rows();
std::vector<Row> matrix_rows();
std::vector<Row> decomposition_rows();
std::vector<Row> fourier_rows();
std::vector<Row> image_rows();
std::vector<Row> volume_rows();
std::vector<Row> second_pooling_rows();
std::vector<Row> sparse_rows();
std::vector<Row> special_rows();
std::vector<Row> integral_rows();
std::vector<Row> older_rows();

}  // namespace tenon::gradient_rows
