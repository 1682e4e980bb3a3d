#include "tenon/ops/nn/post_ops.h"

namespace tenon {
namespace {

// TensorFlow's names (tensorflow/core/kernels/fused_eigen_output_kernels.cc), and Swish.
constexpr std::pair<std::string_view, kernels::Activation> kFusedActivations[] = {
    {"Relu", kernels::Activation::kRelu},
    {"Relu6", kernels::Activation::kRelu6},
    {"Tanh", kernels::Activation::kTanh},
    {"Sigmoid", kernels::Activation::kSigmoid},
    {"Elu", kernels::Activation::kElu},
    {"LeakyRelu", kernels::Activation::kLeakyRelu},
    {"GeluExact", kernels::Activation::kGeluErf},
    {"GeluApproximate", kernels::Activation::kGeluTanh},
    {"Swish", kernels::Activation::kSwish},
};

}  // namespace

StatusOr<FusedPostOps> fused_post_ops(const AttrMap& attrs, int num_inputs) {
  const auto& names = attrs.get<std::vector<std::string>>("fused_ops");
  FusedPostOps fused;
  kernels::PostOps& post = fused.post;
  int next_input = 2;
  for (const std::string& name : names) {
    const bool activated = post.activation != kernels::Activation::kNone;
    const auto activation = std::find_if(std::begin(kFusedActivations), std::end(kFusedActivations),
                                         [&](const auto& row) { return row.first == name; });
    if (activation != std::end(kFusedActivations) && !activated) {
      post.activation = activation->second;
      if (name == "LeakyRelu") post.alpha = attrs.get<float>("leakyrelu_alpha");
    } else if (name == "BiasAdd" && !post.bias && !activated &&
               post.residual == kernels::Residual::kNone) {
      post.bias = true;
      fused.bias = next_input++;
    } else if (name == "Add" && post.residual == kernels::Residual::kNone) {
      post.residual =
          activated ? kernels::Residual::kAfterActivation : kernels::Residual::kBeforeActivation;
      fused.residual = next_input++;
    } else {
      return unimplemented("fused_ops [", join(names, ", "), "]: ", name, " cannot stand there");
    }
  }
  if (next_input != num_inputs) {
    return invalid_argument("fused_ops read ", next_input, " inputs, the node has ", num_inputs);
  }
  return fused;
}

Status fused_post_ops_shape(ShapeContext& c, PartialShape product, int channel_axis) {
  const StatusOr<FusedPostOps> fused = fused_post_ops(c.attrs(), c.num_inputs());
  // The kernel says what it does not implement.
  if (fused.status().code() == absl::StatusCode::kUnimplemented) {
    c.set_output(0, std::move(product));
    return absl::OkStatus();
  }
  TENON_RETURN_IF_ERROR(fused.status());
  for (int i = 2; i < c.num_inputs(); ++i) {
    if (c.input_dtype(i) == c.input_dtype(0)) continue;
    return invalid_argument("input ", i, " is ", c.input_dtype(i), ", the product is ",
                            c.input_dtype(0));
  }
  if (fused->bias >= 0) {
    const int64_t channels = product.has_rank() ? product[channel_axis] : -1;
    if (!PartialShape::merge(c.input(fused->bias), PartialShape{channels}).ok()) {
      return invalid_argument("the bias has shape ", c.input(fused->bias), ", the product ",
                              product);
    }
  }
  if (fused->residual >= 0) {
    const StatusOr<PartialShape> both = PartialShape::merge(product, c.input(fused->residual));
    if (!both.ok()) {
      return invalid_argument("the residual has shape ", c.input(fused->residual), ", the product ",
                              product);
    }
    product = *both;
  }
  c.set_output(0, std::move(product));
  return absl::OkStatus();
}

}  // namespace tenon
