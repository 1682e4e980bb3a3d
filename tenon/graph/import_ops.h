// Ops that exist while a graph is imported and never reach a pass or the runtime: TensorFlow 1's
// control flow, which functionalize() turns into While and If, and TensorArrays, which
// lower_tensor_arrays() turns into TensorLists.
#pragma once

#include "tenon/core/op.h"

namespace tenon {

// The declaration of a node's op: a registered one, or one of those above. Null when there is none.
const OpDef* find_op_for_import(std::string_view name);

// Whether `op` is one that must be gone when the import ends.
bool exists_only_during_import(const OpDef& op);

}  // namespace tenon
