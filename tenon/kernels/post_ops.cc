#include "tenon/kernels/post_ops.h"

#include <utility>

#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {
namespace {

std::optional<UnaryOp> unary_of(Activation activation) {
  switch (activation) {
    case Activation::kNone:
    case Activation::kLeakyRelu:  // has a parameter
      return std::nullopt;
    case Activation::kRelu:
      return UnaryOp::kRelu;
    case Activation::kRelu6:
      return UnaryOp::kRelu6;
    case Activation::kTanh:
      return UnaryOp::kTanh;
    case Activation::kSigmoid:
      return UnaryOp::kSigmoid;
    case Activation::kElu:
      return UnaryOp::kElu;
    case Activation::kGeluErf:
      return UnaryOp::kGeluErf;
    case Activation::kGeluTanh:
      return UnaryOp::kGeluTanh;
    case Activation::kSwish:
      return UnaryOp::kSwish;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Limits> limits_of(Activation activation) {
  if (activation == Activation::kNone) return Limits{};
  if (activation == Activation::kRelu) return Limits{.low = 0.0f};
  if (activation == Activation::kRelu6) return Limits{.low = 0.0f, .high = 6.0f};
  return std::nullopt;
}

TilePostOps split_for_tiles(const PostOps& post) {
  TilePostOps split{post, {}};
  if (!limits_of(post.activation)) {
    std::swap(split.in_tile.activation, split.rest.activation);
    std::swap(split.in_tile.alpha, split.rest.alpha);
  }
  if (post.residual == Residual::kAfterActivation) {
    std::swap(split.in_tile.residual, split.rest.residual);
  }
  return split;
}

void apply_post_ops(const PostOps& post, const float* residual, float* y, int64_t count) {
  static const BinaryKernel add = find_binary(BinaryOp::kAdd, DType::kFloat);
  if (post.residual == Residual::kBeforeActivation) add(y, 1, residual, 1, y, count);
  if (const auto op = unary_of(post.activation)) find_unary(*op, DType::kFloat)(y, y, count);
  if (post.activation == Activation::kLeakyRelu) leaky_relu(post.alpha, y, y, count);
  if (post.residual == Residual::kAfterActivation) add(y, 1, residual, 1, y, count);
}

}  // namespace tenon::kernels
