#include "tenon/passes/pass.h"

namespace tenon {
namespace {

using Pass = Status (*)(Graph&, const PassContext&);

// What a graph needs to run at all, in order.
// Reads that nobody needs are gone before effects are ordered, or writes would wait for them.
constexpr Pass kRequired[] = {inline_functions, freeze_variables, remove_dead_nodes, order_effects};

// Folding first, so that the fusions see constants; fusion of what multiplies before fusion of the
// element-wise rest.
constexpr Pass kOptimizing[] = {
    fold_constants,    simplify_arithmetic, eliminate_common_subexpressions,
    fold_batch_norm,   fold_constants,      fuse_bias_activation,
    remove_dead_nodes, fuse_elementwise,    remove_dead_nodes,
};

}  // namespace

Status run_passes(Graph& graph, const PassContext& context, bool optimize) {
  for (Pass pass : kRequired) TENON_RETURN_IF_ERROR(pass(graph, context));
  if (!optimize) return absl::OkStatus();
  for (Pass pass : kOptimizing) TENON_RETURN_IF_ERROR(pass(graph, context));
  return absl::OkStatus();
}

}  // namespace tenon
