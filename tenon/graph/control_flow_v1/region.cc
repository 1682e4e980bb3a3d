#include "tenon/graph/control_flow_v1/region.h"

#include <algorithm>

#include "tenon/graph/builder.h"
#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/import_ops.h"
#include "tenon/graph/verifier.h"

namespace tenon {

Status Region::visit(Endpoint e, Arguments& args) {
  if (arguments_.contains(e)) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const std::optional<Endpoint> argument, boundary_.argument(e));
  if (!argument) {
    if (nodes_.insert(e.node).second) stack_.push_back(e.node);
    return absl::OkStatus();
  }
  arguments_.emplace(e, *argument);
  args.add(*argument);
  return absl::OkStatus();
}

void Region::visit_control(NodeId id) {
  if (!boundary_.inside(id)) {
    outside_controls_.insert(id);
  } else if (nodes_.insert(id).second) {
    stack_.push_back(id);
  }
}

Status Region::reach(std::span<const Endpoint> roots, std::span<const NodeId> control_roots,
                     Arguments& args) {
  for (Endpoint root : roots) TENON_RETURN_IF_ERROR(visit(root, args));
  for (NodeId root : control_roots) visit_control(root);
  while (!stack_.empty()) {
    const Node& node = graph_.node(stack_.back());
    stack_.pop_back();
    for (Endpoint input : node.inputs) TENON_RETURN_IF_ERROR(visit(input, args));
    for (NodeId control : node.control_inputs) visit_control(control);
  }
  return absl::OkStatus();
}

StatusOr<Graph> Region::build(const Arguments& args, std::span<const Endpoint> results,
                              std::span<const NodeId> control_results) const {
  Graph body(graph_.library());
  std::map<NodeId, NodeId> copies;
  for (NodeId id : nodes_) copies[id] = body.add_unchecked(graph_.node(id));
  GraphBuilder builder(body);
  std::map<Endpoint, Endpoint> taken;  // argument of the boundary -> of the body
  for (Endpoint arg : args.values()) {
    taken[arg] = builder.arg(graph_.node(arg.node).name, graph_.value(arg).dtype, PartialShape());
  }
  TENON_RETURN_IF_ERROR(builder.status());
  const auto moved = [&](Endpoint e) {
    const auto argument = arguments_.find(e);
    return argument != arguments_.end() ? taken.at(argument->second)
                                        : Endpoint{copies.at(e.node), e.index};
  };
  for (const auto& [id, copy] : copies) {
    Node& node = body.node(copy);
    for (Endpoint& input : node.inputs) input = moved(input);
    std::erase_if(node.control_inputs, [&](NodeId control) { return !copies.contains(control); });
    for (NodeId& control : node.control_inputs) control = copies.at(control);
  }
  for (Endpoint result : results) {
    body.result_names.push_back(cat("output_", body.results.size()));
    body.results.push_back(moved(result));
  }
  for (NodeId control : control_results) {
    if (copies.contains(control)) body.control_results.push_back(copies.at(control));
  }
  return body;
}

Status check_no_import_ops(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !exists_only_during_import(*graph.node(id).op)) continue;
    return unimplemented(describe(graph.node(id)),
                         " is not part of a loop or a condition as tf.while_loop and tf.cond "
                         "write them");
  }
  return absl::OkStatus();
}

StatusOr<FunctionAttr> add_function(const Graph& graph, std::string_view prefix, Graph body) {
  TENON_RETURN_IF_ERROR(check_no_import_ops(body));
  TENON_RETURN_IF_ERROR(verify(body));
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, body.topological_order());
  for (NodeId id : order) TENON_RETURN_IF_ERROR(body.infer(id));
  std::string name(prefix);
  std::replace(name.begin(), name.end(), '/', '_');
  name = graph.library()->unique_name(name);
  graph.library()->add(name, std::move(body));
  return FunctionAttr{name, nullptr};
}

bool has_effects(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && effects_of(graph, graph.node(id)).any()) return true;
  }
  return false;
}

}  // namespace tenon
