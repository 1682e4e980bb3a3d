#include "tests/differential/known_shapes_pb.h"

#include "tenon/base/files.h"
#include "tenon/core/tensor_message.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon::differential {

PartialShape known_part(const Shape& shape, Known known) {
  switch (known) {
    case Known::kAll:
      return shape;
    case Known::kAllButBatch: {
      PartialShape part(shape);
      if (part.rank() > 0) part.set(0, -1);
      return part;
    }
    case Known::kRank:
      return PartialShape::unknown_of_rank(shape.rank());
    case Known::kNothing:
      break;
  }
  return PartialShape();
}

StatusOr<std::shared_ptr<const GraphView>> with_known_shapes(const SavedModel& model,
                                                             const std::vector<FedTensor>& fed,
                                                             Known known) {
  TENON_ASSIGN_OR_RETURN(const std::string bytes,
                         read_file(join_path(model.folder(), "saved_model.pb")));
  tensorflow::SavedModel file;
  if (!file.ParseFromString(bytes) || file.meta_graphs_size() != 1) {
    return data_loss("'", model.folder(), "' holds not one MetaGraph");
  }
  tensorflow::GraphDef& changed = *file.mutable_meta_graphs(0)->mutable_graph_def();
  std::map<std::string, PartialShape> shapes;
  for (const FedTensor& tensor : fed) {
    shapes[tensor.name.substr(0, tensor.name.find(':'))] = known_part(tensor.shape, known);
  }
  for (auto& node : *changed.mutable_node()) {
    node.mutable_attr()->erase("_output_shapes");
    const auto shape = shapes.find(node.name());
    if (shape == shapes.end()) continue;
    std::string known_shape;
    append_shape(known_shape, shape->second);
    (*node.mutable_attr())["shape"].mutable_shape()->ParseFromString(known_shape);
  }
  for (auto& function : *changed.mutable_library()->mutable_function()) {
    for (auto& [index, attrs] : *function.mutable_arg_attr()) {
      attrs.mutable_attr()->erase("_output_shapes");
    }
    for (auto& node : *function.mutable_node_def()) node.mutable_attr()->erase("_output_shapes");
  }
  return GraphView::parse(changed.SerializeAsString());
}

}  // namespace tenon::differential
