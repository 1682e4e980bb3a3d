#include "tenon/graph/effects.h"

#include <set>

#include "tenon/graph/function_library.h"

namespace tenon {
namespace {

// Visits the nodes that `graph` runs, those of each function once, until one is `found`.
class ReachedNodes {
 public:
  explicit ReachedNodes(FunctionRef<bool(const Node&)> found) : found_(found) {}

  StatusOr<bool> visit(const Graph& graph) {
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (!graph.alive(id)) continue;
      TENON_ASSIGN_OR_RETURN(const bool found, visit(graph, graph.node(id)));
      if (found) return true;
    }
    return false;
  }

  StatusOr<bool> visit(const Graph& graph, const Node& node) {
    if (found_(node)) return true;
    for (const std::string& name : functions_of(node)) {
      if (!seen_.insert(name).second) continue;
      if (depth_ >= kDeepestCall) {
        return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall,
                                " deep");
      }
      TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph, name));
      ++depth_;
      TENON_ASSIGN_OR_RETURN(const bool found, visit(*body));
      --depth_;
      if (found) return true;
    }
    return false;
  }

 private:
  FunctionRef<bool(const Node&)> found_;
  std::set<std::string> seen_;
  int depth_ = 0;
};

}  // namespace

Effects effects_of(const Graph& graph, const Node& node) {
  Effects effects;
  const auto add = [&](const Node& reached) {
    const Effect effect = reached.op->decl().effect;
    effects.reads |= effect == Effect::kRead;
    effects.writes |= effect == Effect::kWrite;
    effects.random |= effect == Effect::kRandom;
    effects.outside |= effect == Effect::kOutside;
    return false;
  };
  if (!ReachedNodes(add).visit(graph, node).ok()) return {true, true, true, true};
  return effects;
}

StatusOr<std::string> find_effect(const Graph& graph, Effect effect) {
  std::string name;
  const auto found = [&](const Node& node) {
    if (node.op->decl().effect != effect) return false;
    name = describe(node);
    return true;
  };
  TENON_RETURN_IF_ERROR(ReachedNodes(found).visit(graph).status());
  return name;
}

}  // namespace tenon
