#include "tenon/graph/shape_inference.h"

#include "tenon/graph/function_library.h"

namespace tenon {

NodeShapes::NodeShapes(const OpDef& op, const AttrMap& attrs, FunctionLibrary* library)
    : op_(op), attrs_(attrs), library_(library) {
  const size_t count = op.output_dtypes(attrs).size();
  outputs.resize(count);
  handles.resize(count);
}

Status NodeShapes::infer() {
  Status status = op_.decl().shape.function(*this);
  for (size_t i = 0; status.ok() && i < outputs.size(); ++i) status = check_output(i);
  return with_context(status, cat("op ", op_.name()));
}

// What shape functions compute of dimensions that a caller chose, no kernel has to doubt.
Status NodeShapes::check_output(size_t index) const {
  const PartialShape& shape = outputs[index];
  if (!shape.has_rank()) return absl::OkStatus();
  for (int64_t dim : shape.dims()) {
    if (dim < -1 && !symbolic)
      return invalid_argument("output ", index, " has the negative dimension ", dim);
  }
  if (!shape.is_fully_known()) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(shape.to_shape().check());
  return absl::OkStatus();
}

std::vector<PartialShape> NodeShapes::function_results(std::string_view name, int) {
  // The body's own inference, made for its arguments' declared shapes: a hint that always holds.
  std::vector<PartialShape> shapes(outputs.size());
  const FunctionAttr* function = attrs_.get_if<FunctionAttr>(name);
  if (!function || !library_) return shapes;
  const auto graph = library_->find(function->name);
  if (!graph.ok()) return shapes;
  for (size_t i = 0; i < shapes.size() && i < (*graph)->results.size(); ++i) {
    shapes[i] = (*graph)->value((*graph)->results[i]).shape;
  }
  return shapes;
}

NodeShapes shapes_of(const Graph& graph, const Node& node) {
  NodeShapes shapes(*node.op, node.attrs, graph.library().get());
  for (Endpoint input : node.inputs) {
    const ValueInfo& info = graph.value(input);
    shapes.inputs.push_back(
        {info.dtype, info.shape, graph.constant(input), info.handle ? &*info.handle : nullptr});
  }
  return shapes;
}

}  // namespace tenon
