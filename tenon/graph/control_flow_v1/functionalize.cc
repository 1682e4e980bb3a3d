#include "tenon/graph/control_flow_v1/functionalize.h"

#include "tenon/graph/control_flow_v1/region.h"
#include "tenon/graph/control_flow_v1/tensor_arrays.h"

namespace tenon {

Status functionalize(Graph& graph) {
  if (check_no_import_ops(graph).ok()) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(lower_tensor_arrays(graph));
  graph.remove_unreached();
  TENON_RETURN_IF_ERROR(functionalize_loops(graph));
  TENON_RETURN_IF_ERROR(functionalize_conditions(graph));
  graph.remove_unreached();
  return check_no_import_ops(graph);
}

}  // namespace tenon
