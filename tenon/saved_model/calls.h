// Adding nodes to GraphDefs and FunctionDefs by hand, where no Graph stands behind them.
#pragma once

#include "tenon/graph/messages/function_def_writer.h"

namespace tenon::saved_model_internal {

// A Const of `value`.
void add_constant(NodeDefList& nodes, std::string_view name, const Tensor& value);

// A StatefulPartitionedCall of `function`.
void add_call(NodeDefList& nodes, std::string_view name, std::string_view function,
              const std::vector<std::string>& inputs, const std::vector<DType>& input_dtypes,
              const std::vector<DType>& output_dtypes);

}  // namespace tenon::saved_model_internal
