#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// The variable that a ReadVariableOp reads, as the runtime would find it: empty for none by name.
std::string frozen_name(const Graph& graph, const Node& read) {
  const Node& handle = graph.node(read.inputs[0].node);
  if (!handle.is("VarHandleOp") || !handle.attrs.get<std::string>("container").empty()) return "";
  const std::string& shared = handle.attrs.get<std::string>("shared_name");
  return shared.empty() ? handle.name : shared;
}

// Who waits for a read of what never changes waits for what the read itself waited for.
Status wait_past(Graph& graph, Uses& uses, NodeId read) {
  if (!uses.is_waited_for(read)) return absl::OkStatus();
  std::vector<NodeId> controls = graph.node(read).control_inputs;
  std::erase(controls, -1);
  if (controls.empty()) uses.drop_control(read);
  if (controls.size() == 1) uses.replace_control(read, controls[0]);
  if (controls.size() < 2) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const NodeId wait,
                         graph.add("NoOp", cat(graph.node(read).name, "/wait"), {}, {}, controls));
  uses.replace_control(read, wait);
  return absl::OkStatus();
}

}  // namespace

Status freeze_variables(Graph& graph, const PassContext& context) {
  if (!context.frozen_variable) return absl::OkStatus();
  Uses uses(graph);
  const NodeId count = graph.size();
  for (NodeId id = 0; id < count; ++id) {
    if (!graph.alive(id) || !graph.node(id).is("ReadVariableOp")) continue;
    const std::string name = frozen_name(graph, graph.node(id));
    if (name.empty()) continue;
    Tensor value = context.frozen_variable(name);
    // A read that does not fit its variable says so when it runs.
    const ValueInfo& read = graph.value({id, 0});
    if (!value.has_value() || value.dtype() != read.dtype || !read.shape.matches(value.shape())) {
      continue;
    }
    const DType dtype = value.dtype();
    TENON_ASSIGN_OR_RETURN(const NodeId constant,
                           graph.add("Const", cat(graph.node(id).name, "/frozen"), {},
                                     {{"dtype", dtype}, {"value", std::move(value)}}));
    context.note("freeze: variable ", name, " is never written");
    uses.replace_value({id, 0}, {constant, 0});
    TENON_RETURN_IF_ERROR(wait_past(graph, uses, id));
    uses.remove_if_unused(id);
  }
  return absl::OkStatus();
}

}  // namespace tenon
