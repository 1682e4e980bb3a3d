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

StatusOr<FusedPostOps> fused_post_ops(const Prepare& p) {
  FusedPostOps fused;
  kernels::PostOps& post = fused.post;
  int next_input = 2;
  for (const std::string& name : p.attr<std::vector<std::string>>("fused_ops")) {
    const bool activated = post.activation != kernels::Activation::kNone;
    const auto activation = std::find_if(std::begin(kFusedActivations), std::end(kFusedActivations),
                                         [&](const auto& row) { return row.first == name; });
    if (activation != std::end(kFusedActivations) && !activated) {
      post.activation = activation->second;
      if (name == "LeakyRelu") post.alpha = p.attr<float>("leakyrelu_alpha");
    } else if (name == "BiasAdd" && !post.bias && !activated &&
               post.residual == kernels::Residual::kNone) {
      post.bias = true;
      fused.bias = next_input++;
    } else if (name == "Add" && post.residual == kernels::Residual::kNone) {
      post.residual =
          activated ? kernels::Residual::kAfterActivation : kernels::Residual::kBeforeActivation;
      fused.residual = next_input++;
    } else {
      return unimplemented("fused_ops [", join(p.attr<std::vector<std::string>>("fused_ops"), ", "),
                           "]: ", name, " cannot stand there");
    }
  }
  if (next_input != p.num_inputs()) {
    return invalid_argument("fused_ops read ", next_input, " inputs, the node has ",
                            p.num_inputs());
  }
  return fused;
}

}  // namespace tenon
