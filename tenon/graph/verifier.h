// The table of what a legal Graph is. Run after import and, in debug builds, after every pass.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// INVALID_ARGUMENT naming node, op and rule for the first violation.
Status verify(const Graph& graph);

// The rules for single nodes alone: cycles are allowed, as TensorFlow 1's loops have them.
Status verify_nodes(const Graph& graph);

}  // namespace tenon
