// The operators that have an exact form on levels, by family.
#pragma once

#include "tenon/lite/operator_context.h"

namespace tenon::lite {

struct QuantizedTranslation {
  int builtin;  // BuiltinOperator
  // The operator has an output, and its first tensor of data holds levels. False, with nothing
  // added: these dtypes have no such form.
  bool (*translate)(OperatorContext& c);
};

std::span<const QuantizedTranslation> quantized_elementwise();
std::span<const QuantizedTranslation> quantized_products();
std::span<const QuantizedTranslation> quantized_sums();

}  // namespace tenon::lite
