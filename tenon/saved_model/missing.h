// What a SavedModel would need and does not have: for `tenon inspect`, which shows it all at once
// where loading stops at the first.
#pragma once

#include "tenon/saved_model/saved_model.h"

namespace tenon {

// An op that nobody implements, in one function.
struct MissingOp {
  std::string op;
  std::string function;  // empty: the graph itself
  std::string node;      // the first of them
  int64_t nodes = 0;
};

struct MissingParts {
  std::vector<MissingOp> ops;          // sorted by op, then by function
  int64_t variables_declared = 0;      // in the graph
  std::vector<std::string> variables;  // those of them that variables/ does not hold
  std::vector<std::string> assets;     // file names that assets/ lacks
};

// Of `graph` and its functions.
std::vector<MissingOp> missing_ops(const GraphView& graph);

// Looks at names alone: a value that is damaged is load()'s to find. Ops are those of the registry,
// plug-ins' too.
MissingParts missing_parts(const SavedModel& model);

}  // namespace tenon
