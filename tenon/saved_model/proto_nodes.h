// Adding nodes to GraphDefs and FunctionDefs by hand, where no Graph stands behind them.
#pragma once

#include "tenon/core/attributes.h"

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}
namespace tensorflow {
class NodeDef;
}

namespace tenon::saved_model_internal {

using NodeDefList = google::protobuf::RepeatedPtrField<tensorflow::NodeDef>;

// `inputs` as the place demands: "node", "node:1", "^node"; in functions "node:output:1".
void add_node(NodeDefList& nodes, std::string_view name, std::string_view op,
              const std::vector<std::string>& inputs, const AttrMap& attrs = {});

// A Const of `value`; returns its name.
std::string add_constant(NodeDefList& nodes, std::string_view name, const Tensor& value);

// A StatefulPartitionedCall of `function`.
void add_call(NodeDefList& nodes, std::string_view name, std::string_view function,
              const std::vector<std::string>& inputs, const std::vector<DType>& input_dtypes,
              const std::vector<DType>& output_dtypes);

}  // namespace tenon::saved_model_internal
