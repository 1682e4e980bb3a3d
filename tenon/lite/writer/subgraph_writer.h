// A Graph as a subgraph of a `.tflite`.
#pragma once

#include "tenon/lite/writer/node_context.h"

namespace tenon::lite {

using FrozenVariable = std::function<Tensor(std::string_view)>;

// Adds `graph`, which has been through the passes, and returns the subgraph's index. UNIMPLEMENTED
// names op and node where TensorFlow Lite has none of the kind.
StatusOr<int> write_subgraph(LiteModel& model, const Graph& graph, const FrozenVariable& frozen);

// Relu and the like become part of the operator whose result they alone read.
void fuse_activations(LiteModel& model, int subgraph);

}  // namespace tenon::lite
