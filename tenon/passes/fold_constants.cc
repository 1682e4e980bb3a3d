#include "tenon/core/node_prepare.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// A result beyond this many bytes is folded only when it is no larger than what it is made of: a
// Fill or Tile of a small constant stays an op.
constexpr size_t kAlwaysFolded = 4096;

bool may_fold(const Graph& graph, const Node& node) {
  const OpDecl& decl = node.op->decl();
  if (decl.effect != Effect::kNone || node.is("Const") || node.is("_Arg") || node.outputs.empty()) {
    return false;
  }
  if (node.inputs.empty()) return false;
  for (const ValueInfo& output : node.outputs) {
    if (output.dtype == DType::kResource || output.dtype == DType::kVariant) return false;
  }
  for (const auto& [name, value] : node.attrs) {
    if (std::holds_alternative<FunctionAttr>(value)) return false;
  }
  for (Endpoint input : node.inputs) {
    const bool shape_known = decl.needs_only_shapes && graph.value(input).shape.is_fully_known();
    if (!graph.constant(input) && !shape_known) return false;
  }
  return true;
}

size_t bytes_of(const std::vector<Tensor>& tensors) {
  size_t bytes = 0;
  for (const Tensor& tensor : tensors) bytes += tensor.num_bytes();
  return bytes;
}

// Of the inputs that are there, not only their shapes.
size_t bytes_of_constants(const Graph& graph, const Node& node) {
  size_t bytes = 0;
  for (Endpoint input : node.inputs) {
    if (const Tensor* value = graph.constant(input)) bytes += value->num_bytes();
  }
  return bytes;
}

}  // namespace

Status fold_constants(Graph& graph, const PassContext& context) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  Uses uses(graph);
  for (NodeId id : order) {
    // Shapes of the inputs may have become known by folding what comes before. Where they do not go
    // together the node fails when it runs, if it runs: a branch may never be taken.
    if (!graph.alive(id) || !graph.infer(id).ok() || !may_fold(graph, graph.node(id))) continue;
    const Node node = graph.node(id);
    std::vector<Tensor> inputs;
    for (Endpoint input : node.inputs) {
      const Tensor* value = graph.constant(input);
      const ValueInfo& info = graph.value(input);
      inputs.push_back(value ? *value
                             : Tensor(info.dtype, info.shape.to_shape(), Ref<Buffer>(), nullptr));
    }
    std::vector<PartialShape> shapes;
    for (const ValueInfo& output : node.outputs) {
      const int64_t elements = output.shape.num_elements();
      shapes.push_back(output.shape);
      if (elements > int64_t{1} << 28) shapes.clear();
      if (shapes.empty()) break;
    }
    if (shapes.empty()) continue;
    StatusOr<std::vector<Tensor>> outputs =
        evaluate(*node.op, node.attrs, node.name, inputs, shapes, context.resources);
    if (!outputs.ok()) continue;
    if (bytes_of(*outputs) > std::max(kAlwaysFolded, bytes_of_constants(graph, node))) continue;
    for (size_t i = 0; i < outputs->size(); ++i) {
      Tensor& value = (*outputs)[i];
      const DType dtype = value.dtype();
      TENON_ASSIGN_OR_RETURN(
          const NodeId constant,
          graph.add("Const", cat(node.name, "/folded"), {},
                    {{"dtype", dtype}, {"value", std::move(value)}}, node.control_inputs));
      uses.replace_value({id, static_cast<int32_t>(i)}, {constant, 0});
    }
    uses.remove_if_unused(id);
    context.note("fold: ", node.name, " (", node.op->name(), ")");
  }
  return absl::OkStatus();
}

}  // namespace tenon
