#include "tenon/graph/verifier.h"

namespace tenon {
namespace {

bool exists(const Graph& graph, NodeId id) {
  return id >= 0 && id < graph.size() && graph.alive(id);
}

bool exists(const Graph& graph, Endpoint e) {
  return exists(graph, e.node) && e.index >= 0 &&
         static_cast<size_t>(e.index) < graph.node(e.node).outputs.size();
}

Status inputs_exist(const Graph& graph, const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!exists(graph, node.inputs[i])) {
      return invalid_argument("input ", i, " is an output that does not exist");
    }
  }
  for (NodeId control : node.control_inputs) {
    if (!exists(graph, control)) return invalid_argument("a control input does not exist");
  }
  return absl::OkStatus();
}

Status attributes_are_complete(const Graph&, const Node& node) {
  AttrMap attrs = node.attrs;
  return node.op->complete_attrs(attrs);
}

Status dtypes_match(const Graph& graph, const Node& node) {
  const std::vector<DType> expected = node.op->input_dtypes(node.attrs);
  if (expected.size() != node.inputs.size()) {
    return invalid_argument("has ", node.inputs.size(), " inputs, ", expected.size(),
                            " are expected");
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (const DType found = graph.value(node.inputs[i]).dtype; found != expected[i]) {
      return invalid_argument("has a ", found, " as input ", i, ", ", expected[i], " is expected");
    }
  }
  return absl::OkStatus();
}

Status outputs_match(const Graph&, const Node& node) {
  const std::vector<DType> expected = node.op->output_dtypes(node.attrs);
  if (expected.size() != node.outputs.size()) {
    return invalid_argument("has ", node.outputs.size(), " outputs, ", expected.size(),
                            " are expected");
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (node.outputs[i].dtype != expected[i]) {
      return invalid_argument("output ", i, " is ", node.outputs[i].dtype, ", ", expected[i],
                              " is expected");
    }
  }
  return absl::OkStatus();
}

Status constant_is_what_it_says(const Graph&, const Node& node) {
  if (!node.is("Const")) return absl::OkStatus();
  const Tensor& value = node.attrs.get<Tensor>("value");
  if (value.dtype() == node.attrs.get<DType>("dtype")) return absl::OkStatus();
  return invalid_argument("holds a ", value.dtype(), ", its dtype attribute is ",
                          node.attrs.get<DType>("dtype"));
}

using Rule = Status (*)(const Graph&, const Node&);
constexpr Rule kNodeRules[] = {inputs_exist, attributes_are_complete, dtypes_match, outputs_match,
                               constant_is_what_it_says};

}  // namespace

Status verify_nodes(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    for (Rule rule : kNodeRules) {
      if (Status status = rule(graph, graph.node(id)); !status.ok()) {
        return with_context(status, describe(graph.node(id)));
      }
    }
  }
  return absl::OkStatus();
}

Status verify(const Graph& graph) {
  TENON_RETURN_IF_ERROR(verify_nodes(graph));
  for (size_t i = 0; i < graph.results.size(); ++i) {
    if (!exists(graph, graph.results[i])) {
      return invalid_argument("result ", i, " of the graph is an output that does not exist");
    }
  }
  for (NodeId id : graph.args) {
    if (!exists(graph, id) || !graph.node(id).is("_Arg")) {
      return invalid_argument("an argument of the graph is not an _Arg node");
    }
  }
  // A file may name the op too.
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !graph.node(id).is("_Arg")) continue;
    const int64_t index = graph.node(id).attrs.get<int64_t>("index");
    if (index < 0 || index >= std::ssize(graph.args) ||
        graph.args[static_cast<size_t>(index)] != id) {
      return invalid_argument(describe(graph.node(id)), " is none of the graph's ",
                              graph.args.size(), " arguments");
    }
  }
  for (NodeId id : graph.control_results) {
    if (!exists(graph, id)) return invalid_argument("a control result does not exist");
  }
  return graph.topological_order().status();
}

}  // namespace tenon
