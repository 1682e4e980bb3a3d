#include <map>
#include <set>

#include "tenon/graph/effects.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// The accesses of one resource since its last write.
struct Accesses {
  NodeId last_write = -1;
  std::vector<NodeId> reads;
};

// Follows views of a handle back to where it was made.
Endpoint source_of(const Graph& graph, Endpoint handle) {
  while (graph.node(handle.node).is("Identity")) handle = graph.node(handle.node).inputs[0];
  return handle;
}

void wait_for(Node& node, NodeId id) {
  if (id < 0) return;
  for (Endpoint input : node.inputs) {
    if (input.node == id) return;
  }
  if (std::find(node.control_inputs.begin(), node.control_inputs.end(), id) ==
      node.control_inputs.end()) {
    node.control_inputs.push_back(id);
  }
}

}  // namespace

Status order_effects(Graph& graph, const PassContext&) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  std::map<std::string, Accesses> by_resource;
  Accesses outside;
  const auto access = [&](NodeId id, Accesses& accesses, bool write) {
    Node& node = graph.node(id);
    wait_for(node, accesses.last_write);
    if (!write) return accesses.reads.push_back(id);
    for (NodeId read : accesses.reads) {
      if (read != id) wait_for(node, read);
    }
    accesses = {id, {}};
  };
  for (NodeId id : order) {
    const Effects effects = effects_of(graph, graph.node(id));
    if (!effects.any()) continue;
    if (effects.outside) access(id, outside, true);
    const bool write = effects.beyond_reading();
    std::set<std::string> seen;
    const std::vector<Endpoint> inputs = graph.node(id).inputs;
    for (Endpoint input : inputs) {
      if (graph.value(input).dtype != DType::kResource) continue;
      const Endpoint source = source_of(graph, input);
      // Two handle nodes of one variable are one resource.
      const Node& handle = graph.node(source.node);
      const auto* shared = handle.attrs.get_if<std::string>("shared_name");
      std::string key = shared && !shared->empty() ? cat("name:", *shared)
                                                   : cat("node:", source.node, ":", source.index);
      if (!seen.insert(key).second) continue;
      access(id, by_resource[key], write);
    }
  }
  return absl::OkStatus();
}

}  // namespace tenon
