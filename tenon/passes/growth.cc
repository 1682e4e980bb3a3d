#include "tenon/passes/growth.h"

#include "tenon/graph/function_library.h"

namespace tenon {
namespace {

constexpr int64_t kLargestGrowth = 8;
constexpr int64_t kAlwaysCopied = 4096;

struct ReachedFunction {
  std::string name;
  std::shared_ptr<const Graph> body;
};

// The functions that `graph` may run, at any depth, that can be found and of which `counts` holds:
// what cannot be found is told when it is planned.
std::vector<ReachedFunction> functions_reached(const Graph& graph,
                                               FunctionRef<bool(const std::string&)> counts) {
  std::vector<ReachedFunction> reached;
  std::set<std::string> seen;
  const auto look = [&](const Graph& body) {
    for (NodeId id = 0; id < body.size(); ++id) {
      if (!body.alive(id)) continue;
      for (const std::string& name : functions_of(body.node(id))) {
        if (!seen.insert(name).second || !counts(name)) continue;
        if (auto found = find_function(graph, name); found.ok()) reached.push_back({name, *found});
      }
    }
  };
  look(graph);
  for (size_t i = 0; i < reached.size(); ++i) look(*std::shared_ptr(reached[i].body));
  return reached;
}

}  // namespace

int64_t count_nodes(const Graph& graph) {
  int64_t count = 0;
  for (NodeId id = 0; id < graph.size(); ++id) count += graph.alive(id);
  return count;
}

StatusOr<int64_t> FunctionSizes::inlined(const Graph& graph) {
  std::lock_guard lock(mutex_);
  depth_ = 0;
  StatusOr<int64_t> size = inlined_of(graph);
  if (!size.ok()) std::erase_if(inlined_, [](const auto& entry) { return entry.second < 0; });
  return size;
}

StatusOr<int64_t> FunctionSizes::inlined_of(const Graph& graph) {
  int64_t size = count_nodes(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !is_call(graph.node(id))) continue;
    TENON_ASSIGN_OR_RETURN(const int64_t callee,
                           inlined_of(graph, graph.node(id).attrs.get<FunctionAttr>("f").name));
    size = std::min(size + callee, kMost);
  }
  return size;
}

StatusOr<int64_t> FunctionSizes::inlined_of(const Graph& graph, const std::string& name) {
  if (const auto it = inlined_.find(name); it != inlined_.end()) {
    if (it->second >= 0) return it->second;
    return invalid_argument("function '", name, "' calls itself");
  }
  if (depth_ >= kDeepestCall) {
    return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall, " deep");
  }
  TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph, name));
  inlined_[name] = -1;
  ++depth_;
  TENON_ASSIGN_OR_RETURN(const int64_t size, inlined_of(*body));
  --depth_;
  return inlined_[name] = size;
}

int64_t FunctionSizes::copied(const Graph& graph, const std::string& name) {
  std::lock_guard lock(mutex_);
  depth_ = 0;
  return copied_of(graph, name);
}

int64_t FunctionSizes::copied_of(const Graph& graph, const std::string& name) {
  // While a function is looked at it counts as boundless: it runs itself.
  const auto [it, is_new] = copied_.try_emplace(name, kMost);
  if (!is_new || depth_ >= kDeepestCall) return it->second;
  const auto body = find_function(graph, name);
  if (!body.ok()) return kMost;
  int64_t size = count_nodes(**body);
  ++depth_;
  for (NodeId id = 0; id < (*body)->size() && size < kMost; ++id) {
    if (!(*body)->alive(id)) continue;
    for (const std::string& callee : functions_of((*body)->node(id))) {
      size = std::min(size + copied_of(**body, callee), kMost);
    }
  }
  --depth_;
  return copied_[name] = size;
}

int64_t growth_limit(const Graph& graph) {
  int64_t nodes = count_nodes(graph);
  const auto any = [](const std::string&) { return true; };
  for (const ReachedFunction& function : functions_reached(graph, any)) {
    nodes += count_nodes(*function.body);
  }
  return std::max(kLargestGrowth * nodes, kAlwaysCopied);
}

std::map<std::string, int64_t> growth_of_functions(const Graph& graph, FunctionSizes& sizes,
                                                   int64_t left) {
  std::map<std::string, int64_t> growth;
  const auto is_shared = [&](const std::string& name) {
    return !graph.library()->contains_itself(name);
  };
  for (const auto& [name, body] : functions_reached(graph, is_shared)) {
    const int64_t own = count_nodes(*body);
    int64_t wanted = sizes.copied(graph, name) - own;
    if (wanted > left) {
      const StatusOr<int64_t> inlined = sizes.inlined(*body);
      if (!inlined.ok()) continue;  // told when it is planned
      wanted = *inlined - own;
    }
    left -= growth[name] = std::min(wanted, left);
  }
  return growth;
}

}  // namespace tenon
