// What a MatMul or a Convolution does to its result before writing it:
//   y = activation(product + bias + residual)            (residual == kBeforeActivation)
//   y = activation(product + bias) + residual            (residual == kAfterActivation)
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "tenon/core/precision.h"

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

struct PostOps {
  bool bias = false;  // float32, one value per output column or channel
  Activation activation = Activation::kNone;
  float alpha = 0.0f;
  Residual residual = Residual::kNone;  // float32, shaped like the output, not overlapping it
  friend bool operator==(const PostOps&, const PostOps&) = default;
};

// Relu, relu6 and none as bounds of the result, that leave a NaN as it is; no value for the others.
struct Limits {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};
std::optional<Limits> limits_of(Activation activation);

// What is done to a result of our own products while it is in registers, and what is left for
// apply_post_ops().
struct TilePostOps {
  PostOps in_tile;
  PostOps rest;
};
TilePostOps split_for_tiles(const PostOps& post);

// Activation and residual of `post` to `count` values of y in place, on the calling thread. The
// bias must have been added.
void apply_post_ops(const PostOps& post, const float* residual, float* y, int64_t count);

}  // namespace tenon::kernels
