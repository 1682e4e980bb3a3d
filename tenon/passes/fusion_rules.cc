// What follows a MatMul or convolution is computed with it, while its result is in the cache:
// a bias, then perhaps a residual, then perhaps an activation. Sums that symbolic shapes show to be
// none go first, for they part what is fused.
#include "tenon/passes/rewrite.h"

namespace tenon {
namespace {

#define FUSED "p=_FusedMatMul|_FusedConv2D|_FusedDepthwiseConv2dNative"

bool is_float_channels_last(const Node& product) {
  return product.outputs[0].dtype == DType::kFloat &&
         product.attrs.get_or<std::string>("data_format", "NHWC") == "NHWC";
}

// A vector that matches the last dimension of `wide`, perhaps with dimensions of 1 before it.
bool is_bias(const PartialShape& shape, const PartialShape& wide) {
  if (!shape.has_rank() || !wide.has_rank() || wide.rank() < 2) return false;
  if (shape.rank() < 1 || shape.rank() > wide.rank()) return false;
  const int last = shape.rank() - 1;
  for (int i = 0; i < last; ++i) {
    if (shape[i] != 1) return false;
  }
  return shape[last] >= 0 && shape[last] == wide[wide.rank() - 1];
}

// The bias as the vector that the fused op takes.
Endpoint as_vector(Match& m, Endpoint bias) {
  const PartialShape shape = m.graph().value(bias).shape;
  if (shape.rank() == 1) return bias;
  const Dims vector{shape[shape.rank() - 1]};
  const Tensor* constant = m.graph().constant(bias);
  return constant ? m.builder().constant(constant->reshaped(Shape(vector)))
                  : m.builder().reshape(bias, vector.span());
}

std::vector<Endpoint> fuse_bias(Match& m) {
  const Node product = m.node("p");
  if (!is_float_channels_last(product) || !is_bias(m.shape("bias"), m.shape("p"))) return {};
  if (m.root().attrs.get_or<std::string>("data_format", "NHWC") != "NHWC") return {};
  const Endpoint bias = as_vector(m, m["bias"]);
  if (!bias) return {};
  AttrMap attrs = product.attrs;
  attrs.erase("grad_a");
  attrs.erase("grad_b");
  attrs.set("num_args", int64_t{1});
  attrs.set("fused_ops", std::vector<std::string>{"BiasAdd"});
  if (!product.is("MatMul")) attrs.set("TArgs", std::vector<DType>{DType::kFloat});
  const std::string_view op = product.is("MatMul")   ? "_FusedMatMul"
                              : product.is("Conv2D") ? "_FusedConv2D"
                                                     : "_FusedDepthwiseConv2dNative";
  const std::vector<Endpoint> inputs{product.inputs[0], product.inputs[1], bias};
  return {{m.add(op, cat(product.name, "/fused"), inputs, std::move(attrs)), 0}};
}

// Does one thing more after what a fused op does already. None when it has an activation, or `what`
// cannot follow.
std::vector<Endpoint> fuse_one_more(Match& m, std::string_view what, Endpoint argument = {},
                                    float leaky_alpha = 0.2f) {
  const Node fused = m.node("p");
  if (!is_float_channels_last(fused)) return {};
  std::vector<std::string> ops = fused.attrs.get<std::vector<std::string>>("fused_ops");
  if (ops.empty() || ops[0] != "BiasAdd" || (ops.size() > 1 && ops[1] != "Add")) return {};
  if (ops.size() > 2 || (ops.size() == 2 && what == "Add")) return {};
  ops.emplace_back(what);
  AttrMap attrs = fused.attrs;
  std::vector<Endpoint> inputs = fused.inputs;
  if (argument) {
    inputs.push_back(argument);
    const size_t args = inputs.size() - 2;
    attrs.set("num_args", static_cast<int64_t>(args));
    if (!fused.is("_FusedMatMul")) attrs.set("TArgs", std::vector<DType>(args, DType::kFloat));
  }
  attrs.set("fused_ops", std::move(ops));
  attrs.set("leakyrelu_alpha", leaky_alpha);
  const NodeId added = m.add(fused.op->name(), fused.name, std::move(inputs), std::move(attrs));
  if (added >= 0) m.graph().node(added).name = fused.name;  // in its place
  return {{added, 0}};
}

// The residual has the product's shape in every run: what is broadcast stays an addition.
std::vector<Endpoint> fuse_residual(Match& m) {
  const Endpoint residual = m["residual"];
  if (residual == m["p"] || !m.shapes().equal(residual, m["p"])) return {};
  return fuse_one_more(m, "Add", residual);
}

// The names in fused_ops are TensorFlow's remapper's.
std::vector<Endpoint> fuse_activation(Match& m) {
  const std::string op = m.root().op->name();
  return fuse_one_more(m, op, {}, m.root().attrs.get_or<float>("alpha", 0.2f));
}

// A gradient of an operand that was not spread is summed over no axis, in every run.
std::vector<Endpoint> gradient_as_it_is(Match& m) {
  const bool keeps = m.node("sum").attrs.get_or<bool>("keep_dims", false);
  if (keeps || !m.shapes().equal(m["g"], m["x"])) return {};
  return {m["g"]};
}

std::vector<Endpoint> fuse_swish(Match& m) { return fuse_one_more(m, "Swish"); }
std::vector<Endpoint> fuse_gelu(Match& m) { return fuse_one_more(m, "GeluExact"); }
std::vector<Endpoint> fuse_gelu_tanh(Match& m) { return fuse_one_more(m, "GeluApproximate"); }

// x / 2 * (1 + erf(x / sqrt(2))) and its approximation by tanh, as TensorFlow and converters write
// them; Keras 3 writes the former by erfc.
constexpr Rule kFusionRows[] = {
    {"gradient of what was not spread",
     "Reshape(sum=Sum(g, BroadcastGradientArgs(own=Shape(x), Shape(g))), own)", gradient_as_it_is},
    {"bias", "BiasAdd|Add|AddV2(p=MatMul|Conv2D|DepthwiseConv2dNative, bias)", fuse_bias, true,
     Wanted::kByDevice},
    {"residual", "Add|AddV2(" FUSED ", residual)", fuse_residual, true, Wanted::kByDevice},
    {"activation", "Relu|Relu6|Elu|Tanh|Sigmoid|LeakyRelu(" FUSED ")", fuse_activation, true,
     Wanted::kByDevice},
    {"swish", "Mul(" FUSED ", Sigmoid(p))", fuse_swish, true, Wanted::kByDevice},
    {"gelu", "Mul(Mul(" FUSED ", 0.5), Add|AddV2(Erf(Mul(p, 0.70710678)), 1))", fuse_gelu, true,
     Wanted::kByDevice},
    {"gelu, halved last", "Mul(" FUSED ", Mul(Add|AddV2(Erf(Mul(p, 0.70710678)), 1), 0.5))",
     fuse_gelu, true, Wanted::kByDevice},
    {"gelu by erfc", "Mul(Mul(" FUSED ", 0.5), Erfc(Mul(Neg(p), 0.70710678)))", fuse_gelu, true,
     Wanted::kByDevice},
    {"gelu by tanh",
     "Mul(Mul(" FUSED
     ", 0.5), Add|AddV2(Tanh(Mul(Add|AddV2(p, Mul(Pow(p, 3), 0.044715)), 0.79788456)), 1))",
     fuse_gelu_tanh, true, Wanted::kByDevice},
    {"gelu by tanh, halved last",
     "Mul(" FUSED
     ", Mul(Add|AddV2(Tanh(Mul(Add|AddV2(p, Mul(Pow(p, 3), 0.044715)), 0.79788456)), 1), 0.5))",
     fuse_gelu_tanh, true, Wanted::kByDevice},
};

#undef FUSED

}  // namespace

const RuleTable kFusionRules{.name = "fusion", .rules = kFusionRows, .needs_symbolic_shapes = true};

Status fuse_bias_activation(Graph& graph, const PassContext& context) {
  return rewrite(graph, context, kFusionRules);
}

}  // namespace tenon
