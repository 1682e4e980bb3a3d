#include <map>

#include "tenon/graph/builder.h"
#include "tenon/graph/symbolic_shapes.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

struct Activation {
  std::string_view op;
  std::string_view fused;  // its name in fused_ops (TensorFlow's remapper)
};
constexpr Activation kActivations[] = {
    {"Relu", "Relu"}, {"Relu6", "Relu6"},     {"Elu", "Elu"},
    {"Tanh", "Tanh"}, {"Sigmoid", "Sigmoid"}, {"LeakyRelu", "LeakyRelu"},
};

const Activation* find_activation(const Node& node) {
  for (const Activation& row : kActivations) {
    if (node.is(row.op)) return &row;
  }
  return nullptr;
}

// What was found behind a MatMul or Conv2D, in the order of computation.
struct Chain {
  Endpoint end;                // the value that the fused op replaces
  std::vector<Endpoint> args;  // bias, residual
  std::vector<std::string> fused_ops;
  float leaky_alpha = 0.2f;
};

// What a node becomes with what follows it; empty when it is none of these.
std::string_view fused_op(const Node& root) {
  return root.is("MatMul")                  ? "_FusedMatMul"
         : root.is("Conv2D")                ? "_FusedConv2D"
         : root.is("DepthwiseConv2dNative") ? "_FusedDepthwiseConv2dNative"
                                            : "";
}

class Fuser {
 public:
  Fuser(Graph& graph, const PassContext& context, SymbolicShapes shapes)
      : graph_(graph), context_(context), uses_(graph), shapes_(std::move(shapes)) {
    find_swishes();
  }

  Status fuse(NodeId id) {
    const Node root = graph_.node(id);
    if (root.outputs[0].dtype != DType::kFloat) return absl::OkStatus();
    if (root.attrs.get_or<std::string>("data_format", "NHWC") != "NHWC") return absl::OkStatus();
    Chain chain;
    chain.end = {id, 0};
    if (!take_bias(chain)) return absl::OkStatus();
    take_residual(chain);
    take_activation(chain);
    return replace(root, chain);
  }

 private:
  // The node after `value` when nothing else reads it and it need not wait.
  Node* next(Endpoint value, NodeId& id) {
    id = uses_.is_waited_for(value.node) ? -1 : uses_.only_reader(value);
    if (id < 0 || !graph_.node(id).control_inputs.empty()) return nullptr;
    return &graph_.node(id);
  }

  // x * sigmoid(x), by the node of x.
  void find_swishes() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!graph_.alive(id) || !graph_.node(id).is("Mul")) continue;
      const std::vector<Endpoint>& factors = graph_.node(id).inputs;
      for (size_t side = 0; side < 2; ++side) {
        const Endpoint x = factors[1 - side], gate = factors[side];
        const Node& sigmoid = graph_.node(gate.node);
        if (sigmoid.is("Sigmoid") && sigmoid.inputs[0] == x && sigmoid.control_inputs.empty() &&
            graph_.node(id).control_inputs.empty()) {
          swishes_[x.node] = {gate.node, id};
        }
      }
    }
  }

  // A vector that matches the last dimension of `value`, perhaps with dimensions of 1 before it.
  bool is_bias(Endpoint bias, Endpoint value) const {
    const PartialShape& shape = graph_.value(bias).shape;
    const PartialShape& wide = graph_.value(value).shape;
    if (!shape.has_rank() || !wide.has_rank() || wide.rank() < 2) return false;
    if (shape.rank() < 1 || shape.rank() > wide.rank()) return false;
    const int last = shape.rank() - 1;
    for (int i = 0; i < last; ++i) {
      if (shape[i] != 1) return false;
    }
    return shape[last] >= 0 && shape[last] == wide[wide.rank() - 1];
  }

  // The bias as the vector that the fused op takes.
  Endpoint as_vector(Endpoint bias) {
    const PartialShape& shape = graph_.value(bias).shape;
    if (shape.rank() == 1) return bias;
    const Dims vector{shape[shape.rank() - 1]};
    GraphBuilder builder(graph_);
    const Tensor* constant = graph_.constant(bias);
    const Endpoint made = constant ? builder.constant(constant->reshaped(Shape(vector)))
                                   : builder.reshape(bias, vector.span());
    return builder.status().ok() ? made : Endpoint{};
  }

  bool take_bias(Chain& chain) {
    NodeId id;
    Node* node = next(chain.end, id);
    if (!node) return false;
    const bool bias_add =
        node->is("BiasAdd") && node->attrs.get<std::string>("data_format") == "NHWC";
    if (!bias_add && !node->is("AddV2") && !node->is("Add")) return false;
    const size_t other = node->inputs[0] == chain.end ? 1 : 0;
    if (!is_bias(node->inputs[other], chain.end)) return false;
    const Endpoint vector = as_vector(node->inputs[other]);
    if (!vector) return false;
    chain.args.push_back(vector);
    chain.fused_ops.emplace_back("BiasAdd");
    chain.end = {id, 0};
    return true;
  }

  // The residual must exist before (it may not depend on what is fused), and have the product's
  // shape in every run: what is broadcast stays an addition.
  void take_residual(Chain& chain) {
    NodeId id;
    Node* node = next(chain.end, id);
    if (!node || (!node->is("AddV2") && !node->is("Add"))) return;
    const Endpoint other = node->inputs[node->inputs[0] == chain.end ? 1 : 0];
    if (other == chain.end || !shapes_.equal(other, chain.end)) return;
    chain.args.push_back(other);
    chain.fused_ops.emplace_back("Add");
    chain.end = {id, 0};
  }

  void take_activation(Chain& chain) {
    NodeId id;
    Node* node = next(chain.end, id);
    const Activation* activation = node ? find_activation(*node) : nullptr;
    if (!activation) return take_swish(chain);
    chain.fused_ops.emplace_back(activation->fused);
    chain.leaky_alpha = node->attrs.get_or<float>("alpha", 0.2f);
    chain.end = {id, 0};
  }

  void take_swish(Chain& chain) {
    const auto found = swishes_.find(chain.end.node);
    if (found == swishes_.end() || uses_.is_waited_for(chain.end.node)) return;
    const Swish& swish = found->second;
    if (!graph_.alive(swish.product) || graph_.node(swish.sigmoid).inputs[0] != chain.end) return;
    if (uses_.only_reader({swish.sigmoid, 0}) != swish.product) return;
    if (uses_.is_waited_for(swish.sigmoid)) return;
    const auto is_of_swish = [&](NodeId id) { return id == swish.sigmoid || id == swish.product; };
    if (!uses_.is_read_only_among(chain.end, is_of_swish)) return;
    chain.fused_ops.emplace_back("Swish");
    chain.end = {swish.product, 0};
  }

  Status replace(const Node& root, const Chain& chain) {
    const bool conv = !root.is("MatMul");
    const std::string_view op = fused_op(root);
    AttrMap attrs = root.attrs;
    attrs.erase("grad_a");
    attrs.erase("grad_b");
    attrs.set("num_args", static_cast<int64_t>(chain.args.size()));
    attrs.set("fused_ops", chain.fused_ops);
    attrs.set("leakyrelu_alpha", chain.leaky_alpha);
    if (conv) attrs.set("TArgs", std::vector<DType>(chain.args.size(), DType::kFloat));
    std::vector<Endpoint> inputs = root.inputs;
    inputs.insert(inputs.end(), chain.args.begin(), chain.args.end());
    std::vector<NodeId> controls = root.control_inputs;
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add(op, cat(root.name, "/fused"), std::move(inputs),
                                      std::move(attrs), std::move(controls)));
    context_.note("fuse: ", root.name, " (", root.op->name(), ") with ",
                  join(chain.fused_ops, ", "));
    shapes_.is_same({fused, 0}, chain.end);
    uses_.replace_value(chain.end, {fused, 0});
    uses_.replace_control(chain.end.node, fused);
    uses_.remove_if_unused(chain.end.node);
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  struct Swish {
    NodeId sigmoid, product;
  };

  Uses uses_;
  SymbolicShapes shapes_;
  std::map<NodeId, Swish> swishes_;
};

}  // namespace

Status fuse_bias_activation(Graph& graph, const PassContext& context) {
  TENON_ASSIGN_OR_RETURN(SymbolicShapes shapes, SymbolicShapes::analyze(graph));
  Fuser fuser(graph, context, std::move(shapes));
  const NodeId count = graph.size();
  for (NodeId id = 0; id < count; ++id) {
    if (!graph.alive(id)) continue;
    const std::string_view op = fused_op(graph.node(id));
    if (!op.empty() && context.wants(op)) TENON_RETURN_IF_ERROR(fuser.fuse(id));
  }
  return absl::OkStatus();
}

}  // namespace tenon
