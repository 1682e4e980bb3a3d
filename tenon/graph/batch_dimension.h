// The batch dimension: whether the rows of several requests may be computed as one batch.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// Does row i of the node's outputs depend on row i of its batched inputs only?
bool keeps_rows(const Graph& graph, const Node& node);

// May requests be merged along dimension 0 (DESIGN section 3, "Merging requests")? Yes, when every
// argument has the same role (an unknown batch dimension), every node on the way computes row i
// from row i alone, and nothing reads or writes state, or draws random numbers.
struct MergeVerdict {
  bool mergeable = false;
  std::string reason;  // the node and op that broke it; empty when mergeable
};
StatusOr<MergeVerdict> may_merge_rows(const Graph& graph);

}  // namespace tenon
