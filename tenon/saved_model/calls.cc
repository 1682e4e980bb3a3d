#include "tenon/saved_model/calls.h"

namespace tenon::saved_model_internal {

void add_constant(NodeDefList& nodes, std::string_view name, const Tensor& value) {
  nodes.add(name, "Const", {}, {{"dtype", value.dtype()}, {"value", value}});
}

void add_call(NodeDefList& nodes, std::string_view name, std::string_view function,
              const std::vector<std::string>& inputs, const std::vector<DType>& input_dtypes,
              const std::vector<DType>& output_dtypes) {
  nodes.add(name, "StatefulPartitionedCall", inputs,
            {{"f", FunctionAttr{std::string(function), nullptr}},
             {"Tin", input_dtypes},
             {"Tout", output_dtypes}});
}

}  // namespace tenon::saved_model_internal
