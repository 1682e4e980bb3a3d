// Trees of float32 element-wise ops become one loop over tiles that stay in the L1 cache.
//
// A group grows from its last node towards its inputs: a producer joins when all that read it are
// in the group already, so nothing outside waits for an inner value and no cycle can arise.
#include <set>

#include "tenon/graph/symbolic_shapes.h"
#include "tenon/graph/uses.h"
#include "tenon/kernels/fused_program.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

using kernels::BinaryOp;
using kernels::FusedInstruction;
using kernels::UnaryOp;

constexpr std::pair<std::string_view, UnaryOp> kUnary[] = {
    {"Neg", UnaryOp::kNeg},           {"Abs", UnaryOp::kAbs},
    {"Square", UnaryOp::kSquare},     {"Sqrt", UnaryOp::kSqrt},
    {"Rsqrt", UnaryOp::kRsqrt},       {"Reciprocal", UnaryOp::kReciprocal},
    {"Exp", UnaryOp::kExp},           {"Log", UnaryOp::kLog},
    {"Log1p", UnaryOp::kLog1p},       {"Tanh", UnaryOp::kTanh},
    {"Sigmoid", UnaryOp::kSigmoid},   {"Relu", UnaryOp::kRelu},
    {"Relu6", UnaryOp::kRelu6},       {"Elu", UnaryOp::kElu},
    {"Selu", UnaryOp::kSelu},         {"Softplus", UnaryOp::kSoftplus},
    {"Softsign", UnaryOp::kSoftsign}, {"Erf", UnaryOp::kErf},
    {"Floor", UnaryOp::kFloor},       {"Ceil", UnaryOp::kCeil},
    {"Sign", UnaryOp::kSign},
};

constexpr std::pair<std::string_view, BinaryOp> kBinary[] = {
    {"Add", BinaryOp::kAdd},           {"AddV2", BinaryOp::kAdd},
    {"BiasAdd", BinaryOp::kAdd},       {"Sub", BinaryOp::kSub},
    {"Mul", BinaryOp::kMul},           {"RealDiv", BinaryOp::kDiv},
    {"DivNoNan", BinaryOp::kDivNoNan}, {"Maximum", BinaryOp::kMaximum},
    {"Minimum", BinaryOp::kMinimum},   {"SquaredDifference", BinaryOp::kSquaredDifference},
    {"TanhGrad", BinaryOp::kTanhGrad}, {"SigmoidGrad", BinaryOp::kSigmoidGrad},
    {"SqrtGrad", BinaryOp::kSqrtGrad}, {"RsqrtGrad", BinaryOp::kRsqrtGrad},
    {"ReluGrad", BinaryOp::kReluGrad}, {"Relu6Grad", BinaryOp::kRelu6Grad},
    {"EluGrad", BinaryOp::kEluGrad},
};

// The instruction that a node is, operands still to be set; nullopt when it cannot be fused.
std::optional<FusedInstruction> instruction_of(const Node& node) {
  FusedInstruction instruction;
  for (const auto& [name, op] : kUnary) {
    if (!node.is(name)) continue;
    instruction.kind = FusedInstruction::Kind::kUnary;
    instruction.unary = op;
    return instruction;
  }
  for (const auto& [name, op] : kBinary) {
    if (!node.is(name)) continue;
    if (node.attrs.get_or<std::string>("data_format", "NHWC") != "NHWC") return std::nullopt;
    instruction.kind = FusedInstruction::Kind::kBinary;
    instruction.binary = op;
    return instruction;
  }
  return std::nullopt;
}

class ElementwiseFuser {
 public:
  ElementwiseFuser(Graph& graph, const PassContext& context, SymbolicShapes shapes)
      : graph_(graph), context_(context), uses_(graph), shapes_(std::move(shapes)) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    taken_.assign(static_cast<size_t>(graph_.size()), false);
    rank_in_order_.assign(static_cast<size_t>(graph_.size()), 0);
    for (size_t i = 0; i < order.size(); ++i) {
      rank_in_order_[static_cast<size_t>(order[i])] = static_cast<int>(i);
    }
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      if (taken_[static_cast<size_t>(*it)] || !fusible(*it)) continue;
      const std::vector<NodeId> group = grow(*it);
      if (group.size() > 1) TENON_RETURN_IF_ERROR(replace(group));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr size_t kMostNodes = 24;
  static constexpr size_t kMostInputs = 24;

  // A scalar, or a row that repeats along the last dimension of `wide`.
  bool spreads_over(Endpoint value, Endpoint wide) const {
    const PartialShape& shape = graph_.value(value).shape;
    const PartialShape& target = graph_.value(wide).shape;
    if (!shape.is_fully_known() || shape.rank() > target.rank()) return false;
    const int64_t count = shape.num_elements();
    if (count == 1) return true;
    return target.rank() > 1 && shape.rank() > 0 && shape[shape.rank() - 1] == count &&
           target[target.rank() - 1] == count;
  }

  bool fusible(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!node.op || !instruction_of(node) || !node.control_inputs.empty()) return false;
    const ValueInfo& output = node.outputs[0];
    if (output.dtype != DType::kFloat || !output.shape.has_rank()) return false;
    for (Endpoint input : node.inputs) {
      if (graph_.value(input).dtype != DType::kFloat) return false;
      if (!shapes_.equal(input, {id, 0}) && !spreads_over(input, {id, 0})) return false;
    }
    return true;
  }

  // Nodes of the group in the order of computation; the last is `last`.
  std::vector<NodeId> grow(NodeId last) {
    std::set<NodeId> group{last};
    for (bool changed = true; changed && group.size() < kMostNodes;) {
      changed = false;
      // From late to early, so that a producer is seen after all its readers.
      std::vector<NodeId> members(group.begin(), group.end());
      for (NodeId member : members) {
        for (Endpoint input : graph_.node(member).inputs) {
          if (group.size() >= kMostNodes || group.contains(input.node)) continue;
          if (!joins(input, last, group)) continue;
          group.insert(input.node);
          changed = true;
        }
      }
    }
    std::vector<NodeId> ordered(group.begin(), group.end());
    std::sort(ordered.begin(), ordered.end(), [&](NodeId a, NodeId b) {
      return rank_in_order_[static_cast<size_t>(a)] < rank_in_order_[static_cast<size_t>(b)];
    });
    return ordered;
  }

  bool joins(Endpoint value, NodeId last, const std::set<NodeId>& group) {
    if (static_cast<size_t>(value.node) >= taken_.size() ||
        taken_[static_cast<size_t>(value.node)] || uses_.is_waited_for(value.node) ||
        !shapes_.equal(value, {last, 0}) || !fusible(value.node)) {
      return false;
    }
    return uses_.is_read_only_among(value, [&](NodeId reader) { return group.contains(reader); });
  }

  Status replace(const std::vector<NodeId>& group) {
    kernels::FusedProgram program;
    std::vector<Endpoint> inputs;
    std::map<Endpoint, int> constants;
    std::map<NodeId, int> computed;
    // First what the loop reads: values are numbered inputs, constants, instructions.
    for (NodeId id : group) {
      for (Endpoint input : graph_.node(id).inputs) {
        if (std::find(group.begin(), group.end(), input.node) != group.end()) continue;
        const Tensor* constant = graph_.constant(input);
        if (constant && constant->num_elements() == 1 && constant->rank() == 0) {
          if (constants.emplace(input, static_cast<int>(program.constants.size())).second) {
            program.constants.push_back(*constant->data<float>());
          }
        } else if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) {
          inputs.push_back(input);
        }
      }
    }
    if (inputs.empty() || inputs.size() > kMostInputs) return absl::OkStatus();
    const int first_constant = static_cast<int>(inputs.size());
    const int first_instruction = first_constant + static_cast<int>(program.constants.size());
    const auto number_of = [&](Endpoint value) {
      if (const auto it = computed.find(value.node); it != computed.end()) return it->second;
      if (const auto it = constants.find(value); it != constants.end()) {
        return first_constant + it->second;
      }
      return static_cast<int>(std::find(inputs.begin(), inputs.end(), value) - inputs.begin());
    };
    std::vector<std::string> names;
    for (NodeId id : group) {
      const Node& node = graph_.node(id);
      FusedInstruction instruction = *instruction_of(node);
      instruction.a = number_of(node.inputs[0]);
      if (node.inputs.size() > 1) instruction.b = number_of(node.inputs[1]);
      computed[id] = first_instruction + static_cast<int>(program.instructions.size());
      program.instructions.push_back(instruction);
      names.push_back(node.op->name());
    }
    const NodeId last = group.back();
    program.outputs.push_back({computed[last], DType::kFloat});
    AttrMap attrs{{"Tin", std::vector<DType>(inputs.size(), DType::kFloat)},
                  {"Tout", std::vector<DType>{DType::kFloat}}};
    kernels::write_fused_program(program, attrs);
    const std::string name = cat(graph_.node(last).name, "/fused");
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add("_FusedElementwise", name, inputs, std::move(attrs)));
    // The op cannot tell from partial shapes that the inputs agree.
    graph_.node(fused).outputs[0].shape = graph_.node(last).outputs[0].shape;
    context_.note("element-wise: ", name, " is ", join(names, ", "));
    for (NodeId id : group) taken_[static_cast<size_t>(id)] = true;
    uses_.replace_value({last, 0}, {fused, 0});
    uses_.replace_control(last, fused);
    uses_.remove_if_unused(last);
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  Uses uses_;
  const SymbolicShapes shapes_;
  std::vector<bool> taken_;
  std::vector<int> rank_in_order_;
};

}  // namespace

Status fuse_elementwise(Graph& graph, const PassContext& context) {
  if (!context.wants("_FusedElementwise")) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(SymbolicShapes shapes, SymbolicShapes::analyze(graph));
  return ElementwiseFuser(graph, context, std::move(shapes)).run();
}

}  // namespace tenon
