// Trees of float32 element-wise ops become one loop over tiles that stay in the L1 cache.
//
// A group grows from its last node towards its inputs: a producer joins when all that read it are
// in the group already, so nothing outside waits for an inner value and no cycle can arise.
//
// For devices that want _FusedMixedElementwise too, groups may hold half precision, casts,
// comparisons and selections too. There each kernel costs a pass over memory, so that a producer
// also joins when others read it, all of them behind the group's last node in one order of the
// graph: it becomes another output, and the order shows that no cycle arises. A cast to more bits
// is computed by each group that reads it, from half the bytes.
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

// The instruction that a node is, operands still to be set; nullopt when it cannot be fused. One of
// AddN is an addition, of which there are as many as inputs but one.
std::optional<FusedInstruction> instruction_of(const Node& node, bool mixed) {
  using Kind = FusedInstruction::Kind;
  FusedInstruction instruction;
  const auto& loop = node.op->decl().loop;
  if (const UnaryOp* unary = std::get_if<UnaryOp>(&loop); unary && kernels::fused_op_name(*unary)) {
    instruction.kind = Kind::kUnary;
    instruction.unary = *unary;
  } else if (const BinaryOp* binary = std::get_if<BinaryOp>(&loop);
             binary && kernels::fused_op_name(*binary)) {
    if (node.attrs.get_or<std::string>("data_format", "NHWC") != "NHWC") return std::nullopt;
    instruction.kind = Kind::kBinary;
    instruction.binary = *binary;
  } else if (!mixed) {
    return std::nullopt;
  } else if (node.is("AddN")) {
    instruction.kind = Kind::kBinary;
    instruction.binary = BinaryOp::kAdd;
  } else if (node.is("Select") || node.is("SelectV2")) {
    instruction.kind = Kind::kSelect;
  } else if (node.is("ClipByValue")) {
    instruction.kind = Kind::kClip;
  } else if (node.is("LeakyRelu")) {
    instruction.kind = Kind::kLeakyRelu;
    instruction.alpha = node.attrs.get_or<float>("alpha", 0.2f);
  } else if (node.is("BroadcastTo") ||
             (node.is("Cast") && !node.attrs.get_or<bool>("Truncate", false))) {
    instruction.kind = Kind::kCast;
  } else {
    return std::nullopt;
  }
  return instruction;
}

// Inputs that are elements; the shape of BroadcastTo is not.
std::span<const Endpoint> operands_of(const Node& node) {
  return {node.inputs.data(), node.is("BroadcastTo") ? size_t{1} : node.inputs.size()};
}

float as_float(const Tensor& scalar) {
  switch (scalar.dtype()) {
    case DType::kHalf:
      return static_cast<float>(*scalar.data<float16>());
    case DType::kBfloat16:
      return static_cast<float>(*scalar.data<bfloat16>());
    default:
      return *scalar.data<float>();
  }
}

class ElementwiseFuser {
 public:
  ElementwiseFuser(Graph& graph, const PassContext& context, SymbolicShapes shapes)
      : graph_(graph),
        context_(context),
        uses_(graph),
        shapes_(std::move(shapes)),
        mixed_(context.wants("_FusedMixedElementwise")) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    taken_.assign(static_cast<size_t>(graph_.size()), false);
    rank_in_order_.assign(static_cast<size_t>(graph_.size()), 0);
    for (size_t i = 0; i < order.size(); ++i) {
      rank_in_order_[static_cast<size_t>(order[i])] = static_cast<int>(i);
    }
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      // What a group computes for itself may have no other readers left.
      if (!graph_.alive(*it) || taken_[static_cast<size_t>(*it)] || !fusible(*it)) continue;
      const std::vector<NodeId> group = grow(*it);
      if (group.size() > 1) TENON_RETURN_IF_ERROR(replace(group));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr size_t kMostNodes = 24;
  static constexpr size_t kMostInputs = 24;

  int rank_of(NodeId id) const { return rank_in_order_[static_cast<size_t>(id)]; }

  // A scalar, or a row that repeats along the last dimension of `wide`; or a column.
  bool spreads_over(Endpoint value, Endpoint wide) const {
    if (mixed_ && shapes_.is_column_of(value, wide)) return true;
    const PartialShape& shape = shapes_.shape_of(value);
    const PartialShape& target = shapes_.shape_of(wide);
    if (!shape.is_fully_known() || shape.rank() > target.rank()) return false;
    const int64_t count = shape.num_elements();
    if (count == 1) return true;
    return target.rank() > 1 && shape.rank() > 0 && shape[shape.rank() - 1] == count &&
           target[target.rank() - 1] == count;
  }

  // The instruction of a node whose dtypes the loop has.
  std::optional<FusedInstruction> typed_instruction_of(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!node.op) return std::nullopt;
    std::optional<FusedInstruction> instruction = instruction_of(node, mixed_);
    if (!instruction || node.inputs.empty()) return std::nullopt;
    const auto dtype_of = [&](size_t i) { return graph_.value(node.inputs[i]).dtype; };
    const DType result = node.outputs[0].dtype;
    if (instruction->kind == FusedInstruction::Kind::kCast) {
      instruction->dtype = result;
      const bool known = kernels::is_fused_dtype(dtype_of(0)) || dtype_of(0) == DType::kBool ||
                         (kernels::is_read_as_float(dtype_of(0)) && result == DType::kFloat);
      return known && kernels::is_fused_dtype(result) ? instruction : std::nullopt;
    }
    const size_t first = instruction->kind == FusedInstruction::Kind::kSelect ? 1 : 0;
    instruction->dtype = dtype_of(first);
    for (size_t i = first; i < node.inputs.size(); ++i) {
      if (dtype_of(i) != instruction->dtype) return std::nullopt;
    }
    const bool truth = instruction->kind == FusedInstruction::Kind::kBinary &&
                       kernels::result_dtype(instruction->binary, DType::kFloat) == DType::kBool;
    const bool fits = kernels::is_fused_dtype(instruction->dtype) &&
                      result == (truth ? DType::kBool : instruction->dtype);
    return fits && (mixed_ || result == DType::kFloat) ? instruction : std::nullopt;
  }

  bool fusible(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!typed_instruction_of(id) || !node.control_inputs.empty()) return false;
    if (!node.outputs[0].shape.has_rank()) return false;
    // Of rank 1, a condition of Select chooses rows.
    const bool whole = node.is("Select") || node.is("AddN");
    for (Endpoint input : operands_of(node)) {
      if (shapes_.equal(input, {id, 0})) continue;
      if (whole || !spreads_over(input, {id, 0})) return false;
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
        for (Endpoint input : operands_of(graph_.node(member))) {
          if (group.size() >= kMostNodes || group.contains(input.node)) continue;
          if (!joins(input, last, group)) continue;
          group.insert(input.node);
          changed = true;
        }
      }
    }
    std::vector<NodeId> ordered(group.begin(), group.end());
    std::sort(ordered.begin(), ordered.end(),
              [&](NodeId a, NodeId b) { return rank_of(a) < rank_of(b); });
    return ordered;
  }

  // A value that is spread, or a cast of one that has fewer bytes than its result: each group
  // computes it for itself.
  bool is_own_copy(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!mixed_ || !(node.is("Cast") || node.is("BroadcastTo"))) return false;
    return node.is("BroadcastTo") ||
           size_of(graph_.value(node.inputs[0]).dtype) < size_of(node.outputs[0].dtype);
  }

  bool joins(Endpoint value, NodeId last, const std::set<NodeId>& group) {
    if (static_cast<size_t>(value.node) >= taken_.size() ||
        taken_[static_cast<size_t>(value.node)] || !shapes_.equal(value, {last, 0}) ||
        !fusible(value.node)) {
      return false;
    }
    if (is_own_copy(value.node)) return true;
    if (uses_.is_waited_for(value.node)) return false;
    if (!mixed_) {
      return uses_.is_read_only_among(value, [&](NodeId reader) { return group.contains(reader); });
    }
    std::vector<NodeId> readers;
    uses_.for_each_reader(value, [&](NodeId reader) { readers.push_back(reader); });
    return std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
      return rank_of(reader) > rank_of(last) ||
             (group.contains(reader) &&
              (reader == last || !is_own_copy(reader) || !is_needed_outside(reader, group)));
    });
  }

  // Is a node of the group needed by others than the group?
  bool is_needed_outside(NodeId id, const std::set<NodeId>& group) {
    return uses_.is_waited_for(id) || !uses_.is_read_only_among({id, 0}, [&](NodeId reader) {
      return group.contains(reader);
    });
  }

  // What the loop reads: values are numbered inputs, constants, instructions.
  struct Operands {
    std::vector<Endpoint> inputs;
    std::map<Endpoint, int> constants;
    std::map<NodeId, int> computed;

    int number_of(Endpoint value) const {
      if (const auto it = computed.find(value.node); it != computed.end()) return it->second;
      const auto constant = constants.find(value);
      if (constant != constants.end()) return static_cast<int>(inputs.size()) + constant->second;
      return static_cast<int>(std::find(inputs.begin(), inputs.end(), value) - inputs.begin());
    }
  };

  Operands read_operands(const std::vector<NodeId>& group, std::vector<float>& constants) const {
    Operands read;
    for (NodeId id : group) {
      for (Endpoint input : operands_of(graph_.node(id))) {
        if (std::find(group.begin(), group.end(), input.node) != group.end()) continue;
        const Tensor* constant = graph_.constant(input);
        if (constant && constant->num_elements() == 1 && constant->rank() == 0 &&
            kernels::is_fused_dtype(constant->dtype())) {
          if (read.constants.emplace(input, static_cast<int>(constants.size())).second) {
            constants.push_back(as_float(*constant));
          }
        } else if (std::find(read.inputs.begin(), read.inputs.end(), input) == read.inputs.end()) {
          read.inputs.push_back(input);
        }
      }
    }
    return read;
  }

  // Adds the node's instructions, and says that it is computed.
  void compute(NodeId id, Operands& operands, kernels::FusedProgram& program) const {
    const Node& node = graph_.node(id);
    FusedInstruction instruction = *typed_instruction_of(id);
    const int first = static_cast<int>(operands.inputs.size() + program.constants.size());
    const auto add = [&] {
      program.instructions.push_back(instruction);
      return first + static_cast<int>(program.instructions.size()) - 1;
    };
    instruction.a = operands.number_of(node.inputs[0]);
    if (!node.is("AddN")) {
      const std::span<const Endpoint> read = operands_of(node);
      if (read.size() > 1) instruction.b = operands.number_of(read[1]);
      if (read.size() > 2) instruction.c = operands.number_of(read[2]);
      operands.computed[id] = add();
      return;
    }
    int sum = instruction.a;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      instruction.a = sum;
      instruction.b = operands.number_of(node.inputs[i]);
      sum = add();
    }
    operands.computed[id] = sum;
  }

  // Is it a program of _FusedElementwise?
  bool is_plain(const kernels::FusedProgram& program, const std::vector<NodeId>& group) const {
    return program.outputs.size() == 1 && std::all_of(group.begin(), group.end(), [&](NodeId id) {
             const std::optional<FusedInstruction> one = instruction_of(graph_.node(id), false);
             return one && graph_.value({id, 0}).dtype == DType::kFloat;
           });
  }

  // Do the inputs broadcast to the shape of the group's values? The shape that BroadcastTo takes is
  // none of them.
  bool inputs_give_shape(const std::vector<NodeId>& group,
                         const std::vector<Endpoint>& inputs) const {
    const auto spreads = [&](NodeId id) { return graph_.node(id).is("BroadcastTo"); };
    if (std::none_of(group.begin(), group.end(), spreads)) return true;
    return std::any_of(inputs.begin(), inputs.end(), [&](Endpoint input) {
      return shapes_.equal(input, {group.back(), 0});
    });
  }

  Status replace(const std::vector<NodeId>& group) {
    kernels::FusedProgram program;
    Operands operands = read_operands(group, program.constants);
    if (operands.inputs.empty() || operands.inputs.size() > kMostInputs) return absl::OkStatus();
    if (!inputs_give_shape(group, operands.inputs)) return absl::OkStatus();
    std::vector<std::string> names;
    for (NodeId id : group) {
      compute(id, operands, program);
      names.push_back(graph_.node(id).op->name());
    }
    const NodeId last = group.back();
    std::vector<NodeId> outputs{last};
    const std::set<NodeId> members(group.begin(), group.end());
    for (NodeId id : group) {
      if (id != last && !is_own_copy(id) && is_needed_outside(id, members)) outputs.push_back(id);
    }
    std::vector<DType> in, out;
    for (Endpoint input : operands.inputs) in.push_back(graph_.value(input).dtype);
    for (NodeId id : outputs) {
      out.push_back(graph_.value({id, 0}).dtype);
      program.outputs.push_back({operands.computed[id], out.back()});
    }
    const bool plain = is_plain(program, group);
    if (!plain && !mixed_) return absl::OkStatus();
    AttrMap attrs{{"Tin", std::move(in)}, {"Tout", std::move(out)}};
    kernels::write_fused_program(program, attrs);
    const std::string name = cat(graph_.node(last).name, "/fused");
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add(plain ? "_FusedElementwise" : "_FusedMixedElementwise", name,
                                      std::move(operands.inputs), std::move(attrs)));
    context_.note("element-wise: ", name, " is ", join(names, ", "));
    rank_in_order_.resize(static_cast<size_t>(graph_.size()), rank_of(last));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Endpoint from{outputs[i], 0}, to{fused, static_cast<int32_t>(i)};
      // The op cannot tell from partial shapes that the inputs agree.
      graph_.node(fused).outputs[i].shape = graph_.value(from).shape;
      uses_.replace_value(from, to);
    }
    for (NodeId id : group) taken_[static_cast<size_t>(id)] = id == last || !is_own_copy(id);
    uses_.replace_control(last, fused);
    for (NodeId id : outputs) {
      if (graph_.alive(id)) uses_.remove_if_unused(id);
    }
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  Uses uses_;
  const SymbolicShapes shapes_;
  const bool mixed_;
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
