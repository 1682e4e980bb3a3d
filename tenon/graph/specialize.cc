#include "tenon/graph/specialize.h"

#include "tenon/graph/function_copy.h"
#include "tenon/graph/uses.h"

namespace tenon {
namespace {

// The value or handle of an argument, as a node of the body.
StatusOr<NodeId> add_inside(Graph& body, const Node& arg, const KnownArgument& known) {
  if (!known.handle) {
    return body.add("Const", arg.name, {},
                    {{"dtype", known.constant.dtype()}, {"value", known.constant}});
  }
  AttrMap attrs = known.handle->attrs;
  if (attrs.get<std::string>("shared_name").empty()) attrs.set("shared_name", known.handle->name);
  return body.add(known.handle->op->name(), arg.name, {}, std::move(attrs));
}

}  // namespace

StatusOr<Graph> specialize(const Graph& body, std::span<const KnownArgument> known,
                           bool drop_results) {
  Graph graph = body;
  graph.args.clear();
  {
    Uses uses(graph);
    for (size_t i = 0; i < known.size(); ++i) {
      const NodeId arg = body.args[i];
      if (!known[i].is_inside()) {
        Node& kept = graph.node(arg);
        kept.attrs.set("index", static_cast<int64_t>(graph.args.size()));
        kept.attrs.set("shape", known[i].shape);
        kept.outputs[0].shape = known[i].shape;
        graph.args.push_back(arg);
        continue;
      }
      TENON_ASSIGN_OR_RETURN(const NodeId inside, add_inside(graph, body.node(arg), known[i]));
      uses.replace_value({arg, 0}, {inside, 0});
      uses.replace_control(arg, inside);
      graph.remove(arg);
    }
  }
  if (drop_results) {
    size_t kept = 0;
    for (size_t i = 0; i < known.size(); ++i) {
      if (known[i].is_inside()) continue;
      graph.results[kept] = graph.results[i];
      if (i < graph.result_names.size()) graph.result_names[kept] = graph.result_names[i];
      ++kept;
    }
    graph.results.resize(kept);
    graph.result_names.resize(std::min(kept, graph.result_names.size()));
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  for (NodeId id : order) {
    // Where shapes do not go together the node fails when it runs, if it runs; what was inferred
    // for every argument holds for these.
    if (!graph.node(id).is("_Arg")) graph.infer(id).IgnoreError();
  }
  return graph;
}

std::vector<bool> loop_invariants(const Graph& body) {
  std::vector<bool> invariant;
  for (size_t i = 0; i < body.args.size() && i < body.results.size(); ++i) {
    Endpoint value = body.results[i];
    while (body.node(value.node).is("Identity") && body.node(value.node).control_inputs.empty()) {
      value = body.node(value.node).inputs[0];
    }
    invariant.push_back(value == Endpoint{body.args[i], 0});
  }
  return invariant;
}

StatusOr<Graph> loop_step(const Graph& body, const Graph& condition) {
  Graph step = body;
  TENON_ASSIGN_OR_RETURN(const FunctionCopy copy,
                         copy_function(step, condition, body.results, {.prefix = "cond"}));
  step.results.push_back(copy.results[0]);
  step.result_names.resize(body.results.size());
  step.result_names.emplace_back("again");
  step.control_results.insert(step.control_results.end(), copy.control_results.begin(),
                              copy.control_results.end());
  return step;
}

PartialShape common_shape(const PartialShape& a, const PartialShape& b) {
  if (!a.has_rank() || !b.has_rank() || a.rank() != b.rank()) return PartialShape();
  PartialShape common = a;
  for (int axis = 0; axis < a.rank(); ++axis) {
    if (a[axis] != b[axis]) common.set(axis, -1);
  }
  return common;
}

}  // namespace tenon
