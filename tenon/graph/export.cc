#include "tenon/graph/export.h"

#include <set>

#include "tenon/graph/function_library.h"

namespace tenon {
namespace {

constexpr int kMaxNesting = 100;

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

std::string take_unique(std::set<std::string>& taken, const std::string& wanted) {
  std::string name = wanted;
  for (int suffix = 0; !taken.insert(name).second; ++suffix) name = cat(wanted, "_", suffix);
  return name;
}

// How the inputs of a function's nodes are written: "node:output:1".
class EdgeNames {
 public:
  explicit EdgeNames(const Graph& graph) : graph_(graph) {}

  // Arguments go by a name of their own.
  void name_arg(NodeId arg, std::string name) { args_[arg] = std::move(name); }

  std::string edge(Endpoint e) const {
    const Node& node = graph_.node(e.node);
    if (const auto arg = args_.find(e.node); arg != args_.end()) return arg->second;
    for (const ArgDef& output : node.op->outputs()) {
      const auto range = node.op->output_range(output.name, node.attrs);
      if (range && e.index >= range->begin && e.index < range->begin + range->count) {
        return cat(node.name, ":", output.name, ":", e.index - range->begin);
      }
    }
    return cat(node.name, ":output:", e.index);
  }

  std::string control(NodeId id) const { return cat("^", graph_.node(id).name); }
  bool is_arg(NodeId id) const { return args_.contains(id); }

 private:
  const Graph& graph_;
  std::map<NodeId, std::string> args_;
};

AttrMap attrs_without_defaults(const Node& node) {
  AttrMap attrs;
  for (const auto& [name, value] : node.attrs) {
    const AttrDef* def = node.op->find_attr(name);
    if (def && def->default_value && attr_equal(*def->default_value, value)) continue;
    attrs.set(name, value);
  }
  return attrs;
}

Status write_node(const Node& node, const EdgeNames& names, OwnOps own_ops, NodeDefList& nodes) {
  if (own_ops == OwnOps::kRefuse && node.op->name().starts_with('_')) {
    return unimplemented(describe(node), " is Tenon's own and cannot be exported");
  }
  std::vector<std::string> inputs;
  for (Endpoint input : node.inputs) inputs.push_back(names.edge(input));
  for (NodeId control : node.control_inputs) {
    if (!names.is_arg(control)) inputs.push_back(names.control(control));
  }
  nodes.add(node.name, node.op->name(), inputs, attrs_without_defaults(node), node.device);
  return absl::OkStatus();
}

Status add_reached(const Graph& graph, OwnOps own_ops, std::set<std::string>& visited,
                   FunctionDefList& functions, int depth) {
  if (depth > kMaxNesting) {
    return invalid_argument("functions call each other more than ", kMaxNesting, " deep");
  }
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    for (const std::string& name : functions_of(graph.node(id))) {
      if (name.empty() || !visited.insert(name).second) continue;
      if (!graph.library()) return not_found("there is no function '", name, "'");
      TENON_ASSIGN_OR_RETURN(const auto body, graph.library()->find(name));
      TENON_ASSIGN_OR_RETURN(const FunctionDefWriter function,
                             write_function(*body, name, own_ops));
      TENON_RETURN_IF_ERROR(functions.add(function));
      TENON_RETURN_IF_ERROR(add_reached(*body, own_ops, visited, functions, depth + 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string argument_name(std::string_view name) {
  std::string result;
  for (char c : name) {
    if (result.empty() && !is_ascii_letter(c)) continue;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    result += is_ascii_letter(c) || is_ascii_digit(c) ? c : '_';
  }
  return result.empty() ? "unknown" : result;
}

StatusOr<FunctionDefWriter> write_function(const Graph& graph, std::string_view name,
                                           OwnOps own_ops) {
  FunctionDefWriter function(name);
  // Names of nodes and of arguments are one name space.
  std::set<std::string> taken;
  const std::set<NodeId> args(graph.args.begin(), graph.args.end());
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && !args.contains(id)) taken.insert(graph.node(id).name);
  }
  EdgeNames names(graph);
  for (NodeId id : graph.args) {
    std::string unique = take_unique(taken, argument_name(graph.node(id).name));
    function.add_arg(unique, graph.node(id));
    names.name_arg(id, std::move(unique));
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  bool stateful = false;
  for (NodeId id : order) {
    if (args.contains(id)) continue;
    stateful |= graph.node(id).op->decl().effect != Effect::kNone;
    TENON_RETURN_IF_ERROR(write_node(graph.node(id), names, own_ops, function.nodes()));
  }
  function.set_stateful(stateful);
  std::set<std::string> result_names;
  for (size_t i = 0; i < graph.results.size(); ++i) {
    const std::string wanted = i < graph.result_names.size() ? graph.result_names[i] : "output";
    const std::string result = take_unique(result_names, argument_name(wanted));
    function.add_result(result, graph.value(graph.results[i]).dtype, names.edge(graph.results[i]));
  }
  for (NodeId id : graph.control_results) {
    if (!args.contains(id)) function.add_control_output(graph.node(id).name);
  }
  return function;
}

Status add_reached_functions(const Graph& graph, FunctionDefList& functions, OwnOps own_ops) {
  std::set<std::string> visited;
  return add_reached(graph, own_ops, visited, functions, 0);
}

}  // namespace tenon
