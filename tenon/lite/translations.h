// The operators of TensorFlow Lite that are translated, and how.
//
// Each stands beside its function, in translate_*.cc:
//
//   TENON_LITE_OPERATOR(SOFTMAX, softmax)
//
// The build finds them and writes the table of all (tools/gen_lite_operators.cmake), or, in a build
// for certain models, of those that these have: the linker leaves the others out.
#pragma once

#include "tenon/lite/builtin_operators.h"
#include "tenon/lite/operator_context.h"

namespace tenon::lite {

struct Translation {
  int builtin;  // BuiltinOperator
  void (*translate)(OperatorContext& c);
};

#define TENON_LITE_OPERATOR(Name, ...)            \
  extern const Translation translation_of_##Name; \
  constinit const Translation translation_of_##Name = {op::Name, __VA_ARGS__};

// The exact form of an operator on levels.
struct QuantizedTranslation {
  int builtin;  // BuiltinOperator
  // The operator has an output, and its first tensor of data holds levels. False, with nothing
  // added: these dtypes have no such form.
  bool (*translate)(OperatorContext& c);
};

#define TENON_LITE_QUANTIZED(Name, ...)                              \
  extern const QuantizedTranslation quantized_translation_of_##Name; \
  constinit const QuantizedTranslation quantized_translation_of_##Name = {op::Name, __VA_ARGS__};

// The table: generated.
std::span<const Translation* const> all_translations();
std::span<const QuantizedTranslation* const> all_quantized_translations();

// Null where the operator is not translated.
const Translation* find_translation(int builtin);

// The quantised form of an operator, tried first where a tensor of it is quantised; see
// translate_quantized.cc. False: the operator has none, and its float form works on the integers
// as they are.
bool translate_quantized(OperatorContext& c);

}  // namespace tenon::lite
