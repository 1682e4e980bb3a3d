#include "tenon/passes/pass.h"

namespace tenon {

Status freeze_variables(Graph& graph, const PassContext& context) {
  if (!context.frozen_variable) return absl::OkStatus();
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !graph.node(id).is("ReadVariableOp")) continue;
    const Node& handle = graph.node(graph.node(id).inputs[0].node);
    if (!handle.is("VarHandleOp")) continue;
    std::string name = handle.attrs.get<std::string>("shared_name");
    if (name.empty()) name = handle.name;
    Tensor value = context.frozen_variable(name);
    if (!value.has_value()) continue;
    const DType dtype = value.dtype();
    TENON_ASSIGN_OR_RETURN(const NodeId constant,
                           graph.add("Const", cat(graph.node(id).name, "/frozen"), {},
                                     {{"dtype", dtype}, {"value", std::move(value)}}));
    context.note("freeze: variable ", name, " is never written");
    graph.replace_uses({id, 0}, {constant, 0});
  }
  return absl::OkStatus();
}

}  // namespace tenon
