#include "tests/differential/known_shapes_pb.h"

#include "tenon/graph/tensor_pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

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

std::shared_ptr<const tensorflow::GraphDef> with_known_shapes(const SavedModel& model,
                                                              const std::vector<FedTensor>& fed,
                                                              Known known) {
  auto changed = std::make_shared<tensorflow::GraphDef>(model.meta_graph().graph_def());
  std::map<std::string, PartialShape> shapes;
  for (const FedTensor& tensor : fed) {
    shapes[tensor.name.substr(0, tensor.name.find(':'))] = known_part(tensor.shape, known);
  }
  for (auto& node : *changed->mutable_node()) {
    node.mutable_attr()->erase("_output_shapes");
    const auto shape = shapes.find(node.name());
    if (shape == shapes.end()) continue;
    shape_to_proto(shape->second, *(*node.mutable_attr())["shape"].mutable_shape());
  }
  for (auto& function : *changed->mutable_library()->mutable_function()) {
    for (auto& [index, attrs] : *function.mutable_arg_attr()) {
      attrs.mutable_attr()->erase("_output_shapes");
    }
    for (auto& node : *function.mutable_node_def()) node.mutable_attr()->erase("_output_shapes");
  }
  return changed;
}

}  // namespace tenon::differential
