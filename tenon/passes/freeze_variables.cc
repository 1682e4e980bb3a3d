#include <set>

#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// Waiting for a read of what never changes is waiting for what the read itself waited for.
void wait_past(Graph& graph, const std::set<NodeId>& reads) {
  const auto expand = [&](std::vector<NodeId>& controls) {
    std::set<NodeId> seen;
    std::vector<NodeId> kept;
    for (size_t i = 0; i < controls.size(); ++i) {
      const NodeId control = controls[i];
      if (!seen.insert(control).second) continue;
      if (!reads.contains(control)) {
        kept.push_back(control);
        continue;
      }
      const std::vector<NodeId>& before = graph.node(control).control_inputs;
      controls.insert(controls.end(), before.begin(), before.end());
    }
    controls = std::move(kept);
  };
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && !reads.contains(id)) expand(graph.node(id).control_inputs);
  }
  expand(graph.control_results);
}

}  // namespace

Status freeze_variables(Graph& graph, const PassContext& context) {
  if (!context.frozen_variable) return absl::OkStatus();
  std::set<NodeId> reads;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !graph.node(id).is("ReadVariableOp")) continue;
    const Node& handle = graph.node(graph.node(id).inputs[0].node);
    if (!handle.is("VarHandleOp")) continue;
    std::string name = handle.attrs.get<std::string>("shared_name");
    if (name.empty()) name = handle.name;
    Tensor value = context.frozen_variable(name);
    if (!value.has_value()) continue;
    const DType dtype = value.dtype();
    TENON_ASSIGN_OR_RETURN(const NodeId constant,
                           graph.add("Const", cat(graph.node(id).name, "/frozen"), {},
                                     {{"dtype", dtype}, {"value", std::move(value)}}));
    context.note("freeze: variable ", name, " is never written");
    graph.replace_uses({id, 0}, {constant, 0});
    reads.insert(id);
  }
  wait_past(graph, reads);
  return absl::OkStatus();
}

}  // namespace tenon
