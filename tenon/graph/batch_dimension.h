// Which unknown dimension 0 is which: two values whose leading dimensions come from the same place
// have equal ones, whatever they will be.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// A number for the unknown dimension 0 of each value. Equal numbers: equal sizes.
class BatchDimensions {
 public:
  static StatusOr<BatchDimensions> analyze(const Graph& graph);

  // -1 when dimension 0 is known, or there is none.
  int of(Endpoint value) const {
    const auto it = symbols_.find(value);
    return it == symbols_.end() ? -1 : it->second;
  }

 private:
  std::map<Endpoint, int> symbols_;
};

// May requests be merged along dimension 0 (DESIGN section 3, "Merging requests")? Yes, when every
// argument has the same role (an unknown batch dimension), every node on the way computes row i
// from row i alone, and nothing reads or writes state, or draws random numbers.
struct MergeVerdict {
  bool mergeable = false;
  std::string reason;  // the node and op that broke it; empty when mergeable
};
StatusOr<MergeVerdict> may_merge_rows(const Graph& graph);

}  // namespace tenon
