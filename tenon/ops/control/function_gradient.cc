#include "tenon/ops/control/function_gradient.h"

namespace tenon {
namespace {

constexpr int kDeepestNesting = 100;

bool is_function_call(const Node& node) {
  return node.is("PartitionedCall") || node.is("StatefulPartitionedCall");
}

// The functions that a node runs.
std::vector<std::string> functions_of(const Node& node) {
  std::vector<std::string> names;
  for (const auto& [name, value] : node.attrs) {
    if (const auto* one = std::get_if<FunctionAttr>(&value)) names.push_back(one->name);
    if (const auto* list = std::get_if<std::vector<FunctionAttr>>(&value)) {
      for (const FunctionAttr& function : *list) names.push_back(function.name);
    }
  }
  return names;
}

StatusOr<std::shared_ptr<const Graph>> find_function(const Graph& graph, std::string_view name) {
  if (!graph.library()) return not_found("function '", name, "' is called, there are none");
  return graph.library()->find(name);
}

// Nodes that the results of `body` need.
std::vector<bool> needed_by_results(const Graph& body) {
  std::vector<bool> needed(static_cast<size_t>(body.size()));
  std::vector<NodeId> stack;
  for (Endpoint result : body.results) stack.push_back(result.node);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (needed[static_cast<size_t>(id)]) continue;
    needed[static_cast<size_t>(id)] = true;
    for (Endpoint input : body.node(id).inputs) stack.push_back(input.node);
  }
  return needed;
}

// UNIMPLEMENTED when a function writes variables: what it reads when it is computed again may have
// changed.
Status expect_no_writes(const Graph& body, int depth) {
  if (depth > kDeepestNesting) return invalid_argument("a function calls itself without end");
  for (NodeId id = 0; id < body.size(); ++id) {
    if (!body.alive(id)) continue;
    const Node& node = body.node(id);
    const std::vector<std::string> functions = functions_of(node);
    for (const std::string& name : functions) {
      TENON_ASSIGN_OR_RETURN(const auto inner, find_function(body, name));
      TENON_RETURN_IF_ERROR(expect_no_writes(*inner, depth + 1));
    }
    if (node.op->decl().effect == Effect::kWrite && functions.empty()) {
      return unimplemented("the gradient through a function that holds ", describe(node),
                           ": it would run twice");
    }
  }
  return absl::OkStatus();
}

Status expect_same_again(const Graph& graph, int depth) {
  if (depth > kDeepestNesting) return invalid_argument("a function calls itself without end");
  const std::vector<bool> needed = needed_by_results(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !needed[static_cast<size_t>(id)]) continue;
    const Node& node = graph.node(id);
    for (const std::string& name : functions_of(node)) {
      TENON_ASSIGN_OR_RETURN(const auto inner, find_function(graph, name));
      TENON_RETURN_IF_ERROR(expect_same_again(*inner, depth + 1));
    }
    const Effect effect = node.op->decl().effect;
    if (effect == Effect::kRandom || effect == Effect::kOutside) {
      return unimplemented("the gradient needs the value of ", describe(node),
                           ", which is another one when it is computed again");
    }
  }
  return absl::OkStatus();
}

// One copy of a function in progress.
class FunctionCopy {
 public:
  FunctionCopy(Graph& into, bool whole) : into_(into), whole_(whole) {}

  StatusOr<std::vector<Endpoint>> copy(const Graph& body, std::span<const Endpoint> args,
                                       int depth) {
    if (depth > kDeepestNesting) return invalid_argument("a function calls itself without end");
    if (args.size() != body.args.size()) {
      return invalid_argument("a function takes ", body.args.size(), " arguments, ", args.size(),
                              " are given");
    }
    std::vector<std::vector<Endpoint>> outputs(static_cast<size_t>(body.size()));
    std::vector<NodeId> copies(static_cast<size_t>(body.size()), -1);
    for (size_t i = 0; i < args.size(); ++i) {
      outputs[static_cast<size_t>(body.args[i])] = {args[i]};
    }
    const std::vector<bool> needed = needed_by_results(body);
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, body.topological_order());
    for (NodeId id : order) {
      const size_t at = static_cast<size_t>(id);
      if (!outputs[at].empty() || !(whole_ || needed[at])) continue;
      TENON_RETURN_IF_ERROR(copy_node(body, id, outputs, copies, depth));
    }
    if (whole_) {
      for (NodeId id : body.control_results) {
        if (const NodeId copied = copies[static_cast<size_t>(id)]; copied >= 0) {
          into_.control_results.push_back(copied);
        }
      }
    }
    std::vector<Endpoint> results;
    for (Endpoint result : body.results) {
      results.push_back(
          outputs[static_cast<size_t>(result.node)][static_cast<size_t>(result.index)]);
    }
    return results;
  }

 private:
  Status copy_node(const Graph& body, NodeId id, std::vector<std::vector<Endpoint>>& outputs,
                   std::vector<NodeId>& copies, int depth) {
    Node copy = body.node(id);
    for (Endpoint& input : copy.inputs) {
      input = outputs[static_cast<size_t>(input.node)][static_cast<size_t>(input.index)];
    }
    std::vector<NodeId> controls;
    for (NodeId control : copy.control_inputs) {
      const NodeId copied = copies[static_cast<size_t>(control)];
      if (copied >= 0) controls.push_back(copied);
    }
    copy.control_inputs = std::move(controls);
    if (!whole_ && is_function_call(copy)) {
      const std::string& name = copy.attrs.get<FunctionAttr>("f").name;
      TENON_ASSIGN_OR_RETURN(const auto callee, find_function(body, name));
      TENON_ASSIGN_OR_RETURN(outputs[static_cast<size_t>(id)],
                             this->copy(*callee, copy.inputs, depth + 1));
      return absl::OkStatus();
    }
    const NodeId added = into_.add_unchecked(std::move(copy));
    copies[static_cast<size_t>(id)] = added;
    // The arguments may be known better here than in the body.
    TENON_RETURN_IF_ERROR(into_.infer(added));
    for (size_t i = 0; i < into_.node(added).outputs.size(); ++i) {
      outputs[static_cast<size_t>(id)].push_back({added, static_cast<int32_t>(i)});
    }
    return absl::OkStatus();
  }

  Graph& into_;
  const bool whole_;
};

}  // namespace

StatusOr<std::vector<Endpoint>> copy_pure_function(Graph& into, const Graph& body,
                                                   std::span<const Endpoint> args) {
  TENON_RETURN_IF_ERROR(expect_no_writes(body, 0));
  return FunctionCopy(into, false).copy(body, args, 0);
}

StatusOr<std::vector<Endpoint>> copy_whole_function(Graph& into, const Graph& body,
                                                    std::span<const Endpoint> args) {
  return FunctionCopy(into, true).copy(body, args, 0);
}

bool carries_gradient(DType dtype) {
  return is_floating(dtype) || is_complex(dtype) || dtype == DType::kVariant ||
         dtype == DType::kResource;
}

StatusOr<BackwardFunction> make_backward_function(const std::shared_ptr<FunctionLibrary>& library,
                                                  const Graph& body,
                                                  std::span<const ValueInfo> args,
                                                  std::span<const ResultGradient> gradients_of) {
  BackwardFunction backward{Graph(library), {}, {}, {}, {}};
  GraphBuilder b(backward.graph);
  for (const ValueInfo& arg : args) {
    const Endpoint e = b.arg("", arg.dtype, arg.shape);
    TENON_RETURN_IF_ERROR(b.status());
    backward.graph.value(e).handle = arg.handle;
    backward.args.push_back(e);
  }
  std::vector<Endpoint> ys;
  TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> results,
                         copy_pure_function(backward.graph, body, backward.args));
  for (const ResultGradient& one : gradients_of) {
    const Endpoint y = results[static_cast<size_t>(one.result)];
    const bool own_dtype = backward.graph.value(y).dtype == one.dtype;
    backward.of.push_back(one.result);
    backward.dy.push_back(
        b.arg("", one.dtype, own_dtype ? PartialShape(b.shape(y)) : PartialShape()));
    ys.push_back(y);
  }
  TENON_RETURN_IF_ERROR(b.status());
  TENON_ASSIGN_OR_RETURN(backward.dx, gradients(backward.graph, ys, backward.dy, backward.args));
  return backward;
}

Status expect_repeatable(const Graph& graph) { return expect_same_again(graph, 0); }

Endpoint zero_gradient(GraphBuilder& b, Endpoint value, DType dtype) {
  if (b.dtype(value) == DType::kResource) {
    value = b.op("ReadVariableOp", {value}, {{"dtype", dtype}});
  }
  return b.zeros_like(value);
}

bool reads_state(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && graph.node(id).op->decl().effect != Effect::kNone) return true;
  }
  return false;
}

}  // namespace tenon
