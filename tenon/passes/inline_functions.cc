#include <unordered_map>

#include "tenon/graph/function_copy.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

constexpr int64_t kLargestGrowth = 8;
constexpr int64_t kAlwaysInlined = 4096;
constexpr int64_t kMostInlined = int64_t{1} << 40;

std::string callee_of(const Node& call) { return call.attrs.get<FunctionAttr>("f").name; }

int64_t count_nodes(const Graph& graph) {
  int64_t count = 0;
  for (NodeId id = 0; id < graph.size(); ++id) count += graph.alive(id);
  return count;
}

// How large functions become when all calls in them are inlined, each looked at once.
class InlinedSizes {
 public:
  StatusOr<int64_t> of(const Graph& graph) {
    int64_t size = count_nodes(graph);
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (!graph.alive(id) || !is_call(graph.node(id))) continue;
      TENON_ASSIGN_OR_RETURN(const int64_t callee, of(graph, callee_of(graph.node(id))));
      size = std::min(size + callee, kMostInlined);
    }
    return size;
  }

 private:
  StatusOr<int64_t> of(const Graph& graph, const std::string& name) {
    if (const auto it = sizes_.find(name); it != sizes_.end()) {
      if (it->second >= 0) return it->second;
      return invalid_argument("function '", name, "' calls itself");
    }
    if (depth_ >= kDeepestCall) {
      return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall,
                              " deep");
    }
    TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph, name));
    sizes_[name] = -1;
    ++depth_;
    TENON_ASSIGN_OR_RETURN(const int64_t size, of(*body));
    --depth_;
    return sizes_[name] = size;
  }

  std::unordered_map<std::string, int64_t> sizes_;  // -1: it is being looked at
  int depth_ = 0;
};

class Inliner {
 public:
  Inliner(Graph& graph, const PassContext& context, int64_t budget)
      : graph_(graph), context_(context), budget_(budget), uses_(graph) {}

  Status run() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!graph_.alive(id) || !is_call(graph_.node(id))) continue;
      const std::string name = callee_of(graph_.node(id));
      TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph_, name));
      const int64_t size = count_nodes(*body);
      if (size > budget_) continue;
      budget_ -= size;
      context_.note("inline: ", graph_.node(id).name, " calls ", name);
      TENON_RETURN_IF_ERROR(inline_call(id, *body));
    }
    return absl::OkStatus();
  }

 private:
  // Copies the body of `call` into the graph and lets the call's users read the copies.
  Status inline_call(NodeId call, const Graph& body) {
    const Node caller = graph_.node(call);
    if (body.args.size() != caller.inputs.size() || body.results.size() != caller.outputs.size()) {
      return invalid_argument(describe(caller), " passes ", caller.inputs.size(),
                              " arguments and expects ", caller.outputs.size(),
                              " results; its function takes ", body.args.size(), " and gives ",
                              body.results.size());
    }
    std::vector<NodeId> controls = caller.control_inputs;
    std::erase(controls, -1);
    TENON_RETURN_IF_ERROR(wait_as_one(caller.name, controls));
    TENON_ASSIGN_OR_RETURN(
        const FunctionCopy copy,
        copy_function(graph_, body, caller.inputs, {.prefix = caller.name, .controls = controls}));
    for (size_t i = 0; i < copy.results.size(); ++i) {
      uses_.replace_value({call, static_cast<int32_t>(i)}, copy.results[i]);
    }
    // Whoever waited for the call waits for what the body must run.
    if (uses_.is_waited_for(call)) {
      std::vector<NodeId> done = copy.control_results;
      TENON_RETURN_IF_ERROR(wait_as_one(caller.name, done));
      if (done.empty()) {
        uses_.drop_control(call);
      } else {
        uses_.replace_control(call, done[0]);
      }
    }
    graph_.remove(call);
    return absl::OkStatus();
  }

  // One node that waits for all of `nodes`, so that many that wait for many stay few edges.
  Status wait_as_one(std::string_view name, std::vector<NodeId>& nodes) {
    if (nodes.size() < 2) return absl::OkStatus();
    TENON_ASSIGN_OR_RETURN(const NodeId wait,
                           graph_.add("NoOp", cat(name, "/wait"), {}, {}, std::move(nodes)));
    nodes = {wait};
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  int64_t budget_;
  Uses uses_;
};

}  // namespace

StatusOr<std::map<std::string, int64_t>> inline_budgets(const Graph& graph) {
  struct Reached {
    std::string name;
    const Graph* body;
  };
  std::vector<std::shared_ptr<const Graph>> bodies;
  std::vector<Reached> reached{{"", &graph}};
  std::map<std::string, int64_t> budgets{{"", 0}};
  int64_t nodes = 0;
  for (size_t i = 0; i < reached.size(); ++i) {
    const Graph& body = *reached[i].body;
    nodes += count_nodes(body);
    for (NodeId id = 0; id < body.size(); ++id) {
      if (!body.alive(id)) continue;
      for (const std::string& name : functions_of(body.node(id))) {
        if (!budgets.try_emplace(name, 0).second) continue;
        // What cannot be found is told when it is called.
        const auto found = find_function(body, name);
        if (!found.ok()) continue;
        bodies.push_back(*found);
        reached.push_back({name, found->get()});
      }
    }
  }
  int64_t left = std::max(kLargestGrowth * nodes, kAlwaysInlined);
  InlinedSizes sizes;
  for (const auto& [name, body] : reached) {
    const StatusOr<int64_t> size = sizes.of(*body);
    if (!size.ok()) {
      if (name.empty()) return size.status();
      continue;  // told when it is planned
    }
    int64_t& budget = budgets[name];
    budget = std::min(*size - count_nodes(*body), left);
    left -= budget;
  }
  return budgets;
}

Status inline_functions(Graph& graph, const PassContext& context) {
  bool calls = false;
  for (NodeId id = 0; id < graph.size(); ++id) {
    calls |= graph.alive(id) && is_call(graph.node(id));
  }
  if (!calls) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(InlinedSizes().of(graph).status());
  int64_t budget = 0;
  if (context.inline_budget) {
    budget = *context.inline_budget;
  } else {
    TENON_ASSIGN_OR_RETURN(auto budgets, inline_budgets(graph));
    budget = budgets[""];
  }
  return Inliner(graph, context, budget).run();
}

}  // namespace tenon
