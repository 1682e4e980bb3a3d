#include <unordered_map>

#include "tenon/passes/pass.h"

namespace tenon {
namespace {

bool mergeable(const Node& node) {
  if (node.op->decl().effect != Effect::kNone || node.outputs.empty() || node.is("_Arg")) {
    return false;
  }
  // Two equal TensorLists or handles are still two objects that may be changed.
  for (const ValueInfo& output : node.outputs) {
    if (output.dtype == DType::kVariant) return false;
  }
  return true;
}

size_t hash_of(const Node& node) {
  size_t hash = std::hash<const void*>()(node.op);
  for (Endpoint input : node.inputs) {
    hash = hash * 1000003 + static_cast<size_t>(input.node) * 31 + static_cast<size_t>(input.index);
  }
  return hash;
}

bool same_attrs(const AttrMap& a, const AttrMap& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
           return x.first == y.first && attr_equal(x.second, y.second);
         });
}

bool same(const Node& a, const Node& b) {
  // A handle without shared_name is named by its node.
  const auto* shared = a.attrs.get_if<std::string>("shared_name");
  if (shared && shared->empty()) return false;
  return a.op == b.op && a.inputs == b.inputs && a.control_inputs == b.control_inputs &&
         a.device == b.device && same_attrs(a.attrs, b.attrs);
}

}  // namespace

Status eliminate_common_subexpressions(Graph& graph, const PassContext& context) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  std::unordered_multimap<size_t, NodeId> seen;
  std::map<Endpoint, Endpoint> replaced;
  const auto replace = [&](Endpoint& e) {
    if (const auto it = replaced.find(e); it != replaced.end()) e = it->second;
  };
  for (NodeId id : order) {
    Node& node = graph.node(id);
    for (Endpoint& input : node.inputs) replace(input);
    if (!mergeable(node)) continue;
    const size_t hash = hash_of(node);
    NodeId twin = -1;
    const auto [begin, end] = seen.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (same(graph.node(it->second), node)) twin = it->second;
    }
    if (twin < 0) {
      seen.emplace(hash, id);
      continue;
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const auto index = static_cast<int32_t>(i);
      replaced[{id, index}] = {twin, index};
    }
    context.note("common subexpression: ", node.name, " is ", graph.node(twin).name);
  }
  for (Endpoint& result : graph.results) replace(result);
  return absl::OkStatus();
}

}  // namespace tenon
