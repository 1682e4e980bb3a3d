#include "tenon/graph/verifier.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// What a graph needs to run at all, in order.
// Reads that nobody needs are gone before effects are ordered, or writes would wait for them.
constexpr NamedPass kRequired[] = {
    {"inline_functions", inline_functions},
    {"freeze_variables", freeze_variables},
    {"remove_dead_nodes", remove_dead_nodes},
    {"order_effects", order_effects},
};

// Folding first, so that functions and fusions see constants; fusion of what multiplies before
// fusion of the element-wise rest.
constexpr NamedPass kOptimizing[] = {
    {"fold_constants", fold_constants},
    {"simplify_arithmetic", simplify_arithmetic},
    {"eliminate_common_subexpressions", eliminate_common_subexpressions},
    {"specialize_functions", specialize_functions},
    {"fold_batch_norm", fold_batch_norm},
    {"fold_constants", fold_constants},
    {"fuse_bias_activation", fuse_bias_activation},
    {"remove_dead_nodes", remove_dead_nodes},
    {"fuse_batch_norm", fuse_batch_norm},
    {"fuse_elementwise", fuse_elementwise},
    {"remove_dead_nodes", remove_dead_nodes},
};

}  // namespace

Status run_passes(std::span<const NamedPass> passes, Graph& graph, const PassContext& context,
                  bool verify_each) {
  for (const NamedPass& pass : passes) {
    TENON_RETURN_IF_ERROR(pass.run(graph, context));
    if (!verify_each) continue;
    if (const Status status = verify(graph); !status.ok()) {
      return internal("pass ", pass.name, " left an illegal graph: ", message_of(status));
    }
  }
  return absl::OkStatus();
}

Status run_passes(Graph& graph, const PassContext& context, bool optimize) {
  TENON_RETURN_IF_ERROR(run_passes(kRequired, graph, context));
  return optimize ? run_passes(kOptimizing, graph, context) : absl::OkStatus();
}

}  // namespace tenon
