#include "tenon/passes/pass.h"

namespace tenon {
namespace {

using Pass = Status (*)(Graph&, const PassContext&);

// What a graph needs to run at all, in order.
constexpr Pass kRequired[] = {inline_functions, order_effects, freeze_variables, remove_dead_nodes};

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
