#include "tenon/passes/pass.h"

namespace tenon {

Status remove_dead_nodes(Graph& graph, const PassContext& context) {
  const int removed = graph.remove_unreached();
  if (removed > 0) context.note("dead code: ", removed, " nodes");
  return absl::OkStatus();
}

}  // namespace tenon
