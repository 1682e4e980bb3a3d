#include "tenon/passes/pass.h"

namespace tenon {

Status remove_dead_nodes(Graph& graph, const PassContext& context) {
  std::vector<bool> needed(static_cast<size_t>(graph.size()), false);
  std::vector<NodeId> stack;
  const auto need = [&](NodeId id) {
    if (needed[static_cast<size_t>(id)]) return;
    needed[static_cast<size_t>(id)] = true;
    stack.push_back(id);
  };
  for (Endpoint result : graph.results) need(result.node);
  for (NodeId id : graph.control_results) need(id);
  for (NodeId id : graph.args) need(id);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    for (Endpoint input : graph.node(id).inputs) need(input.node);
    for (NodeId control : graph.node(id).control_inputs) need(control);
  }
  int removed = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || needed[static_cast<size_t>(id)]) continue;
    graph.remove(id);
    ++removed;
  }
  if (removed > 0) context.note("dead code: ", removed, " nodes");
  return absl::OkStatus();
}

}  // namespace tenon
