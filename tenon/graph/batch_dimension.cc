#include "tenon/graph/batch_dimension.h"

#include "tenon/graph/effects.h"
#include "tenon/graph/shape_inference.h"

namespace tenon {

bool keeps_rows(const Graph& graph, const Node& node) {
  const Rows rows = node.op->decl().rows.of(shapes_of(graph, node));
  if (rows != Rows::kIndependentUnlessRank1) return rows == Rows::kIndependent;
  const PartialShape& shape = graph.value(node.inputs[0]).shape;
  return shape.has_rank() && shape.rank() > 1;
}

namespace {

// A value that two rows of one request may not differ in: it must not change with the batch.
bool is_shared(const Graph& graph, Endpoint value) {
  const Node& node = graph.node(value.node);
  if (node.is("Const")) return true;
  // Reads of variables that no signature writes have become constants; the others are state.
  return false;
}

}  // namespace

StatusOr<MergeVerdict> may_merge_rows(const Graph& graph) {
  const auto refuse = [](std::string reason) { return MergeVerdict{false, std::move(reason)}; };
  if (graph.args.empty()) return refuse("the signature has no inputs");
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  std::vector<bool> batched(static_cast<size_t>(graph.size()), false);
  for (NodeId id : graph.args) {
    if (!has_unknown_rows(graph.value({id, 0}).shape)) {
      return refuse(cat("input '", graph.node(id).name, "' has no unknown batch dimension"));
    }
    batched[static_cast<size_t>(id)] = true;
  }
  for (NodeId id : order) {
    const Node& node = graph.node(id);
    if (effects_of(graph, node).any()) {
      return refuse(cat(describe(node), " has an effect, state or randomness"));
    }
    if (node.is("_Arg")) continue;
    bool any = false;
    for (Endpoint input : node.inputs) any |= batched[static_cast<size_t>(input.node)];
    if (!any) continue;
    if (!keeps_rows(graph, node)) return refuse(cat(describe(node), " mixes rows"));
    int rank = -1;  // of the inputs that hold rows
    for (Endpoint input : node.inputs) {
      if (!batched[static_cast<size_t>(input.node)]) {
        if (is_shared(graph, input)) continue;
        return refuse(cat(describe(node), " reads a value that is no constant"));
      }
      // Broadcasting would lay the rows of the lower rank along another axis.
      const int own = graph.value(input).shape.rank();
      if (rank >= 0 && own != rank && !node.op->decl().rows.function) {
        return refuse(cat(describe(node), " takes batches of different ranks"));
      }
      rank = own;
    }
    for (const ValueInfo& output : node.outputs) {
      if (!has_unknown_rows(output.shape)) {
        return refuse(cat(describe(node), " gives a value without a batch dimension"));
      }
    }
    batched[static_cast<size_t>(id)] = true;
  }
  for (size_t i = 0; i < graph.results.size(); ++i) {
    const Endpoint result = graph.results[i];
    if (!batched[static_cast<size_t>(result.node)] ||
        !has_unknown_rows(graph.value(result).shape)) {
      return refuse(cat("output ", i, " has no batch dimension"));
    }
  }
  return MergeVerdict{true, ""};
}

}  // namespace tenon
