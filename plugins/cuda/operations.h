// The element-wise operations by the names of TensorFlow's ops.
#pragma once

#include <span>
#include <string_view>

#include "plugins/base/node_reading.h"

namespace plugin::cuda {

struct Operation {
  enum Types : uint8_t { kFloats = 1, kIntegers = 2, kTruth = 4 };
  const char* op;
  const char* function;  // in elementwise_functions.inc
  int operands;
  int types;
  bool gives_truth = false;
  bool has_alpha = false;
  // Of integers only where the second operand is known not to be 0, which would be an error.
  bool divides = false;

  bool takes(int32_t dtype) const;
};

std::span<const Operation> operations();
const Operation* find_operation(std::string_view op);  // null: there is none

}  // namespace plugin::cuda
