#include "tenon/ops/control/function_gradient.h"

#include <set>

#include "tenon/graph/effects.h"
#include "tenon/graph/function_copy.h"

namespace tenon {
namespace {

// UNIMPLEMENTED when a function writes variables: what it reads when it is computed again may have
// changed.
Status expect_no_writes(const Graph& body) {
  TENON_ASSIGN_OR_RETURN(const std::string writer, find_effect(body, Effect::kWrite));
  if (writer.empty()) return absl::OkStatus();
  return unimplemented("the gradient through a function that holds ", writer,
                       ": it would run twice");
}

// `seen`: functions that were looked at, each once.
Status expect_same_again(const Graph& graph, std::set<std::string>& seen, int depth) {
  if (depth > kDeepestCall) return invalid_argument("a function calls itself without end");
  const std::vector<bool> needed = needed_by_results(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !needed[static_cast<size_t>(id)]) continue;
    const Node& node = graph.node(id);
    for (const std::string& name : functions_of(node)) {
      if (!seen.insert(name).second) continue;
      TENON_ASSIGN_OR_RETURN(const auto inner, find_function(graph, name));
      TENON_RETURN_IF_ERROR(expect_same_again(*inner, seen, depth + 1));
    }
    const Effect effect = node.op->decl().effect;
    if (effect == Effect::kRandom || effect == Effect::kOutside || effect == Effect::kCollective) {
      return unimplemented("the gradient needs the value of ", describe(node),
                           ", which is another one when it is computed again");
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::vector<Endpoint>> copy_pure_function(Graph& into, const Graph& body,
                                                   std::span<const Endpoint> args) {
  TENON_RETURN_IF_ERROR(expect_no_writes(body));
  TENON_ASSIGN_OR_RETURN(FunctionCopy copy,
                         copy_function(into, body, args, {.results_only = true, .infer = true}));
  return std::move(copy.results);
}

StatusOr<std::vector<Endpoint>> copy_whole_function(Graph& into, const Graph& body,
                                                    std::span<const Endpoint> args) {
  TENON_ASSIGN_OR_RETURN(FunctionCopy copy, copy_function(into, body, args, {.infer = true}));
  into.control_results.insert(into.control_results.end(), copy.control_results.begin(),
                              copy.control_results.end());
  return std::move(copy.results);
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

Status expect_repeatable(const Graph& graph) {
  std::set<std::string> seen;
  return expect_same_again(graph, seen, 0);
}

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
