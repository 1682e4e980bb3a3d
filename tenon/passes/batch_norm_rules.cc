// Inference batch normalisation is y * scale + offset with constants: the scale goes into the
// weights of the convolution or matmul before it, and two constant offsets become one.
#include <cmath>

#include "tenon/passes/rewrite.h"

namespace tenon {
namespace {

#define PRODUCT "p=MatMul|Conv2D|DepthwiseConv2dNative"

// Whether `constant` is float and broadcasts along the last of `channels` alone: it has no other
// dimension above 1, and no more dimensions than `rank`.
bool is_row(const Tensor* constant, int64_t channels, int rank) {
  return constant && constant->dtype() == DType::kFloat && constant->rank() > 0 &&
         constant->rank() <= rank && constant->dim(constant->rank() - 1) == channels &&
         constant->num_elements() == channels;
}

bool lasts_in_channels(const Node& node) {
  return node.attrs.get_or<std::string>("data_format", "NHWC") == "NHWC";
}

// values * row, along the last dimension; nullopt when a product is infinite or none: an input of 0
// would no longer give 0.
std::optional<Tensor> scaled(const Tensor& values, const Tensor& row) {
  Tensor product(DType::kFloat, values.shape());
  const float* const in = values.data<float>();
  const float* const scale = row.data<float>();
  float* const out = product.mutable_data<float>();
  const int64_t count = values.num_elements(), channels = row.num_elements();
  bool finite = true;
  for (int64_t at = 0; at < count; at += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      out[at + c] = in[at + c] * scale[c];
      finite &= std::isfinite(out[at + c]);
    }
  }
  return finite ? std::optional(std::move(product)) : std::nullopt;
}

// FusedBatchNorm in inference mode with constant statistics becomes x * scale + offset.
std::vector<Endpoint> expand_batch_norm(Match& m) {
  const Node norm = m.root();
  const PartialShape& x = m.shape("x");
  if (norm.attrs.get<bool>("is_training") || !lasts_in_channels(norm) ||
      norm.outputs[0].dtype != DType::kFloat || !x.has_rank() || x.rank() != 4) {
    return {};
  }
  const float* inputs[5];
  for (size_t i = 1; i < 5; ++i) {
    const Tensor* constant = m.graph().constant(norm.inputs[i]);
    if (!is_row(constant, x[3], 1)) return {};
    inputs[i] = constant->data<float>();
  }
  const int64_t channels = x[3];
  const float epsilon = norm.attrs.get<float>("epsilon");
  Tensor scale(DType::kFloat, Shape{channels}), offset(DType::kFloat, Shape{channels});
  for (int64_t c = 0; c < channels; ++c) {
    const float factor = inputs[1][c] / std::sqrt(inputs[4][c] + epsilon);
    scale.mutable_data<float>()[c] = factor;
    offset.mutable_data<float>()[c] = inputs[2][c] - inputs[3][c] * factor;
    // What is no number must come out where it came out before.
    if (!std::isfinite(factor) || !std::isfinite(offset.data<float>()[c])) return {};
  }
  GraphBuilder& b = m.builder();
  return {
      b.add(b.mul(norm.inputs[0], b.constant(std::move(scale))), b.constant(std::move(offset)))};
}

// product -> [BiasAdd] -> Mul by a constant per channel.
std::vector<Endpoint> fold_scale(Match& m) {
  const Node product = m.node("p");
  const Tensor* weights = m.graph().constant(product.inputs[1]);
  if (product.outputs[0].dtype != DType::kFloat || !weights || weights->dtype() != DType::kFloat ||
      weights->num_elements() == 0 || product.attrs.get_or<bool>("transpose_b", false) ||
      !lasts_in_channels(product)) {
    return {};
  }
  int64_t channels = weights->dim(weights->rank() - 1);
  if (product.is("DepthwiseConv2dNative")) channels *= weights->dim(weights->rank() - 2);
  const int rank = m.shape("p").rank();
  const Tensor* scale = m.constant("scale");
  if (!is_row(scale, channels, rank)) return {};
  const bool has_bias = bool{m["bias"]};
  std::optional<Tensor> bias;
  if (has_bias) {
    if (!is_row(m.constant("bias"), channels, rank) || !lasts_in_channels(m.node("sum"))) return {};
    bias = scaled(*m.constant("bias"), *scale);
  }
  std::optional<Tensor> new_weights = scaled(*weights, *scale);
  if (!new_weights || (has_bias && !bias)) return {};
  GraphBuilder& b = m.builder();
  const std::vector<Endpoint> inputs{product.inputs[0], b.constant(*std::move(new_weights))};
  Endpoint result{m.add(product.op->name(), cat(product.name, "/scaled"), inputs, product.attrs),
                  0};
  if (has_bias) result = b.op("BiasAdd", {result, b.constant(*std::move(bias))});
  return {result};
}

constexpr Rule kBatchNormRows[] = {
    {"batch norm",
     "FusedBatchNorm|FusedBatchNormV2|FusedBatchNormV3(x, gamma, beta, mean, variance)",
     expand_batch_norm},
    {"scale in weights", "Mul(" PRODUCT ", scale)", fold_scale, true},
    {"scale in weights and bias", "Mul(sum=BiasAdd(" PRODUCT ", bias), scale)", fold_scale, true},
};

#undef PRODUCT

}  // namespace

const RuleTable kBatchNormRules{.name = "batch norm", .rules = kBatchNormRows};

Status fold_batch_norm(Graph& graph, const PassContext& context) {
  return rewrite(graph, context, kBatchNormRules);
}

}  // namespace tenon
