// What a MatMul or a Convolution does to its result before writing it:
//   y = activation(product + bias + residual)            (residual == kBeforeActivation)
//   y = activation(product + bias) + residual            (residual == kAfterActivation)
#pragma once

#include <cstdint>

namespace tenon::kernels {

enum class Activation : uint8_t {
  kNone,
  kRelu,
  kRelu6,
  kTanh,
  kSigmoid,
  kElu,        // alpha 1
  kLeakyRelu,  // slope `alpha`
  kGeluErf,
  kGeluTanh,
  kSwish,  // x * sigmoid(x)
};

enum class Residual : uint8_t { kNone, kBeforeActivation, kAfterActivation };

// kBfloat16 multiplies in bfloat16 and adds in float32; inputs and outputs stay float32. Where the
// processor has no such instructions it means kFloat32.
enum class Precision : uint8_t { kFloat32, kBfloat16 };

struct PostOps {
  bool bias = false;  // float32, one value per output column or channel
  Activation activation = Activation::kNone;
  float alpha = 0.0f;
  Residual residual = Residual::kNone;  // float32, shaped like the output, not overlapping it
  friend bool operator==(const PostOps&, const PostOps&) = default;
};

}  // namespace tenon::kernels
