// Loops that cannot be written out (writer/unroll.h) in the form that TensorFlow Lite has: WHILE,
// over tensors alone.
#pragma once

#include "tenon/passes/pass.h"

namespace tenon::lite {

// The loop `id` takes and gives tensors in place of lists of tensors, whose first dimension goes
// along the list; whoever made or read these lists outside it does so too. Its condition and body
// are optimised. Returns the node that stands for it. UNIMPLEMENTED names a node whose list cannot
// be a tensor.
StatusOr<NodeId> lists_to_tensors(Graph& graph, NodeId id, const PassContext& context);

}  // namespace tenon::lite
