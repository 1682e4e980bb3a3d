// The operators of TensorFlow Lite that are translated: one row each, by family.
#pragma once

#include "tenon/lite/builtin_operators.h"
#include "tenon/lite/operator_context.h"

namespace tenon::lite {

struct Translation {
  int builtin;  // BuiltinOperator
  void (*translate)(OperatorContext& c);
};

std::span<const Translation> elementwise_translations();
std::span<const Translation> array_translations();
std::span<const Translation> index_translations();
std::span<const Translation> window_translations();
std::span<const Translation> reduction_translations();
std::span<const Translation> control_translations();
std::span<const Translation> recurrent_translations();
std::span<const Translation> quantization_translations();

// Null where the operator is not translated.
const Translation* find_translation(int builtin);

// The quantised form of an operator, tried first where a tensor of it is quantised; see
// translate_quantized.cc. False: the operator has none, and its float form works on the integers
// as they are.
bool translate_quantized(OperatorContext& c);

}  // namespace tenon::lite
