// Literal: a Python literal as read from an expression, before it becomes a tensor.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::cli {

struct Literal {
  enum class Kind { kBool, kInt, kFloat, kText, kList, kDict, kTensor };
  Kind kind = Kind::kInt;
  int64_t integer = 0;  // kBool, kInt
  double real = 0;      // kFloat
  std::string text;     // kText; kDict's keys stand in `keys`
  std::vector<Literal> items;
  std::vector<std::string> keys;
  Tensor tensor;  // kTensor: the result of a NumPy call
};

// The whole of `text`. INVALID_ARGUMENT says where it stops being one.
StatusOr<Literal> parse_literal(std::string_view text);

// As numpy.array(): nested lists of equal lengths; INVALID_ARGUMENT for ragged ones.
StatusOr<Tensor> literal_to_tensor(const Literal& literal);

}  // namespace tenon::cli
