#include "tenon/graph/function_copy.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// Copies the body of `call` into `graph` and lets the call's users read the copies.
Status inline_call(Graph& graph, NodeId call, const Graph& body) {
  const Node caller = graph.node(call);
  if (body.args.size() != caller.inputs.size() || body.results.size() != caller.outputs.size()) {
    return invalid_argument(describe(caller), " passes ", caller.inputs.size(),
                            " arguments and expects ", caller.outputs.size(),
                            " results; its function takes ", body.args.size(), " and gives ",
                            body.results.size());
  }
  TENON_ASSIGN_OR_RETURN(const FunctionCopy copy,
                         copy_function(graph, body, caller.inputs,
                                       {.prefix = caller.name, .controls = caller.control_inputs}));
  for (size_t i = 0; i < copy.results.size(); ++i) {
    graph.replace_uses({call, static_cast<int32_t>(i)}, copy.results[i]);
  }
  // Whoever waited for the call waits for what the body must run.
  const std::vector<NodeId>& done = copy.control_results;
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
    const int level = depth[static_cast<size_t>(id)];
    if (level >= kDeepestCall) {
      return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall,
                              " deep: it calls itself");
    }
    TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph, name));
    context.note("inline: ", graph.node(id).name, " calls ", name);
    TENON_RETURN_IF_ERROR(inline_call(graph, id, *body));
    depth.resize(static_cast<size_t>(graph.size()), level + 1);
  }
  return absl::OkStatus();
}

}  // namespace tenon
