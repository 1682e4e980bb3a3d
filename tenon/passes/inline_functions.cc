#include "tenon/graph/function_library.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

constexpr int kDeepestCall = 100;

bool is_call(const Node& node) {
  return node.is("PartitionedCall") || node.is("StatefulPartitionedCall");
}

// Copies the body of `call` into `graph` and lets the call's users read the copies.
Status inline_call(Graph& graph, NodeId call, const Graph& body, std::vector<int>& depth) {
  const Node caller = graph.node(call);
  if (body.args.size() != caller.inputs.size() || body.results.size() != caller.outputs.size()) {
    return invalid_argument(describe(caller), " passes ", caller.inputs.size(),
                            " arguments and expects ", caller.outputs.size(),
                            " results; its function takes ", body.args.size(), " and gives ",
                            body.results.size());
  }
  std::vector<Endpoint> args(static_cast<size_t>(body.size()));  // by the _Arg's NodeId
  for (size_t i = 0; i < body.args.size(); ++i) {
    args[static_cast<size_t>(body.args[i])] = caller.inputs[i];
  }
  std::vector<NodeId> copies(static_cast<size_t>(body.size()), -1);
  const auto moved = [&](Endpoint e) {
    const Endpoint arg = args[static_cast<size_t>(e.node)];
    return arg ? arg : Endpoint{copies[static_cast<size_t>(e.node)], e.index};
  };
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, body.topological_order());
  for (NodeId id : order) {
    if (args[static_cast<size_t>(id)]) continue;
    Node copy = body.node(id);
    copy.name = cat(caller.name, "/", copy.name);
    for (Endpoint& input : copy.inputs) input = moved(input);
    std::vector<NodeId> controls = caller.control_inputs;
    for (NodeId control : copy.control_inputs) {
      const NodeId target = copies[static_cast<size_t>(control)];
      if (target >= 0) controls.push_back(target);
    }
    copy.control_inputs = std::move(controls);
    copies[static_cast<size_t>(id)] = graph.add_unchecked(std::move(copy));
    depth.push_back(depth[static_cast<size_t>(call)] + 1);
  }
  for (size_t i = 0; i < body.results.size(); ++i) {
    graph.replace_uses({call, static_cast<int32_t>(i)}, moved(body.results[i]));
  }
  // Whoever waited for the call waits for what the body must run.
  std::vector<NodeId> done;
  for (NodeId id : body.control_results) {
    if (copies[static_cast<size_t>(id)] >= 0) done.push_back(copies[static_cast<size_t>(id)]);
  }
  const auto replace_control = [&](std::vector<NodeId>& controls) {
    if (std::erase(controls, call) > 0) controls.insert(controls.end(), done.begin(), done.end());
  };
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id)) replace_control(graph.node(id).control_inputs);
  }
  replace_control(graph.control_results);
  graph.remove(call);
  return absl::OkStatus();
}

}  // namespace

Status inline_functions(Graph& graph, const PassContext& context) {
  std::vector<int> depth(static_cast<size_t>(graph.size()), 0);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !is_call(graph.node(id))) continue;
    const std::string name = graph.node(id).attrs.get<FunctionAttr>("f").name;
    if (depth[static_cast<size_t>(id)] >= kDeepestCall) {
      return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall,
                              " deep: it calls itself");
    }
    if (!graph.library()) return not_found("function '", name, "' is called, there are none");
    TENON_ASSIGN_OR_RETURN(const auto body, graph.library()->find(name));
    context.note("inline: ", graph.node(id).name, " calls ", name);
    TENON_RETURN_IF_ERROR(inline_call(graph, id, *body, depth));
  }
  return absl::OkStatus();
}

}  // namespace tenon
