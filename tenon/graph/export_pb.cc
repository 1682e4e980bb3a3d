#include <set>

#include "tenon/graph/export.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/tensor_pb.h"
#include "tensorflow/core/framework/graph.pb.h"

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

// How the inputs of nodes are written: GraphDefs say "node:3", functions "node:output:1".
class EdgeNames {
 public:
  EdgeNames(const Graph& graph, bool in_function) : graph_(graph), in_function_(in_function) {}

  // In functions arguments go by a name of their own.
  void name_arg(NodeId arg, std::string name) { args_[arg] = std::move(name); }

  std::string edge(Endpoint e) const {
    const Node& node = graph_.node(e.node);
    if (const auto arg = args_.find(e.node); arg != args_.end()) return arg->second;
    if (!in_function_) return e.index == 0 ? node.name : cat(node.name, ":", e.index);
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
  bool in_function_;
  std::map<NodeId, std::string> args_;
};

void attrs_to_proto(const Node& node, tensorflow::NodeDef& proto) {
  for (const auto& [name, value] : node.attrs) {
    const AttrDef* def = node.op->find_attr(name);
    if (def && def->default_value && attr_equal(*def->default_value, value)) continue;
    attr_to_proto(value, (*proto.mutable_attr())[name]);
  }
}

Status node_to_proto(const Node& node, const EdgeNames& names, tensorflow::NodeDef& proto) {
  if (node.op->name().starts_with('_')) {
    return unimplemented(describe(node), " is Tenon's own and cannot be exported");
  }
  proto.set_name(node.name);
  proto.set_op(node.op->name());
  proto.set_device(node.device);
  for (Endpoint input : node.inputs) proto.add_input(names.edge(input));
  for (NodeId control : node.control_inputs) {
    if (!names.is_arg(control)) proto.add_input(names.control(control));
  }
  attrs_to_proto(node, proto);
  return absl::OkStatus();
}

Status add_reached(const Graph& graph, std::map<std::string, tensorflow::FunctionDef*>& known,
                   std::set<std::string>& visited, tensorflow::FunctionDefLibrary& library,
                   int depth) {
  if (depth > kMaxNesting) {
    return invalid_argument("functions call each other more than ", kMaxNesting, " deep");
  }
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    for (const std::string& name : functions_of(graph.node(id))) {
      if (name.empty() || !visited.insert(name).second) continue;
      if (!graph.library()) return not_found("there is no function '", name, "'");
      TENON_ASSIGN_OR_RETURN(const auto body, graph.library()->find(name));
      tensorflow::FunctionDef proto;
      TENON_RETURN_IF_ERROR(function_to_proto(*body, name, proto));
      const auto [it, fresh] = known.try_emplace(name, nullptr);
      if (fresh) {
        it->second = library.add_function();
        *it->second = std::move(proto);
      } else if (it->second->DebugString() != proto.DebugString()) {
        return already_exists("there are two different functions '", name, "'");
      }
      TENON_RETURN_IF_ERROR(add_reached(*body, known, visited, library, depth + 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void argument_to_proto(const Node& node, const std::string& name, tensorflow::FunctionDef& proto) {
  static const std::string user_name = "_user_specified_name", shapes = "_output_shapes";
  const auto index = static_cast<uint32_t>(proto.signature().input_arg_size());
  auto& arg = *proto.mutable_signature()->add_input_arg();
  arg.set_name(name);
  arg.set_type(static_cast<tensorflow::DataType>(node.outputs[0].dtype));
  auto& attrs = *(*proto.mutable_arg_attr())[index].mutable_attr();
  attrs[user_name].set_s(node.name);
  if (node.outputs[0].dtype == DType::kResource) return;
  attr_to_proto(std::vector<PartialShape>{node.outputs[0].shape}, attrs[shapes]);
}

std::string argument_name(std::string_view name) {
  std::string result;
  for (char c : name) {
    if (result.empty() && !is_ascii_letter(c)) continue;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    result += is_ascii_letter(c) || is_ascii_digit(c) ? c : '_';
  }
  return result.empty() ? "unknown" : result;
}

Status function_to_proto(const Graph& graph, std::string_view name,
                         tensorflow::FunctionDef& proto) {
  proto.mutable_signature()->set_name(std::string(name));
  // Names of nodes and of arguments are one name space.
  std::set<std::string> taken;
  const std::set<NodeId> args(graph.args.begin(), graph.args.end());
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && !args.contains(id)) taken.insert(graph.node(id).name);
  }
  EdgeNames names(graph, /*in_function=*/true);
  for (NodeId id : graph.args) {
    std::string unique = take_unique(taken, argument_name(graph.node(id).name));
    argument_to_proto(graph.node(id), unique, proto);
    names.name_arg(id, std::move(unique));
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  bool stateful = false;
  for (NodeId id : order) {
    if (args.contains(id)) continue;
    stateful |= graph.node(id).op->decl().effect != Effect::kNone;
    TENON_RETURN_IF_ERROR(node_to_proto(graph.node(id), names, *proto.add_node_def()));
  }
  proto.mutable_signature()->set_is_stateful(stateful);
  std::set<std::string> result_names;
  for (size_t i = 0; i < graph.results.size(); ++i) {
    const std::string wanted = i < graph.result_names.size() ? graph.result_names[i] : "output";
    const std::string result = take_unique(result_names, argument_name(wanted));
    auto& output = *proto.mutable_signature()->add_output_arg();
    output.set_name(result);
    output.set_type(static_cast<tensorflow::DataType>(graph.value(graph.results[i]).dtype));
    (*proto.mutable_ret())[result] = names.edge(graph.results[i]);
  }
  for (NodeId id : graph.control_results) {
    if (args.contains(id)) continue;
    proto.mutable_signature()->add_control_output(graph.node(id).name);
    (*proto.mutable_control_ret())[graph.node(id).name] = graph.node(id).name;
  }
  return absl::OkStatus();
}

Status graph_to_proto(const Graph& graph, tensorflow::GraphDef& proto) {
  const EdgeNames names(graph, /*in_function=*/false);
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  for (NodeId id : order) {
    const Node& node = graph.node(id);
    if (!node.is("_Arg")) {
      TENON_RETURN_IF_ERROR(node_to_proto(node, names, *proto.add_node()));
      continue;
    }
    tensorflow::NodeDef& placeholder = *proto.add_node();
    placeholder.set_name(node.name);
    placeholder.set_op("Placeholder");
    attr_to_proto(node.outputs[0].dtype, (*placeholder.mutable_attr())["dtype"]);
    if (node.outputs[0].shape.has_rank()) {
      attr_to_proto(node.outputs[0].shape, (*placeholder.mutable_attr())["shape"]);
    }
  }
  return absl::OkStatus();
}

Status add_reached_functions(const Graph& graph, tensorflow::FunctionDefLibrary& library) {
  std::map<std::string, tensorflow::FunctionDef*> known;
  for (tensorflow::FunctionDef& function : *library.mutable_function()) {
    known[function.signature().name()] = &function;
  }
  std::set<std::string> visited;
  return add_reached(graph, known, visited, library, 0);
}

}  // namespace tenon
