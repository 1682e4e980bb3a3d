#include "tenon/graph/tensor_pb.h"
#include "tenon/saved_model/proto_nodes.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace tenon::saved_model_internal {

void add_node(NodeDefList& nodes, std::string_view name, std::string_view op,
              const std::vector<std::string>& inputs, const AttrMap& attrs) {
  tensorflow::NodeDef& node = *nodes.Add();
  node.set_name(std::string(name));
  node.set_op(std::string(op));
  for (const std::string& input : inputs) node.add_input(input);
  for (const auto& [key, value] : attrs) attr_to_proto(value, (*node.mutable_attr())[key]);
}

std::string add_constant(NodeDefList& nodes, std::string_view name, const Tensor& value) {
  add_node(nodes, name, "Const", {}, {{"dtype", value.dtype()}, {"value", value}});
  return std::string(name);
}

void add_call(NodeDefList& nodes, std::string_view name, std::string_view function,
              const std::vector<std::string>& inputs, const std::vector<DType>& input_dtypes,
              const std::vector<DType>& output_dtypes) {
  add_node(nodes, name, "StatefulPartitionedCall", inputs,
           {{"f", FunctionAttr{std::string(function), nullptr}},
            {"Tin", input_dtypes},
            {"Tout", output_dtypes}});
}

}  // namespace tenon::saved_model_internal
