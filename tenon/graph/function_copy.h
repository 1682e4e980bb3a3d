// Copying the body of a function into another graph: how calls are inlined and how gradients
// compute a function's values again.
#pragma once

#include "tenon/graph/function_library.h"

namespace tenon {

struct FunctionCopyOptions {
  std::string_view prefix = {};           // copies are named "<prefix>/<name>"
  std::span<const NodeId> controls = {};  // what every copy waits for
  // Nodes that no result needs are left out, and the calls among the others are replaced by copies
  // of what they call, until these are eight times the body or some thousand nodes. Only for
  // functions without effects.
  bool results_only = false;
  // Infers the copies' shapes again, for arguments that are known better than in the body.
  bool infer = false;
};

struct FunctionCopy {
  std::vector<Endpoint> results;        // the body's results
  std::vector<NodeId> control_results;  // and what of it must run for its effect
};

// By NodeId: whether the results of `body` need the node's value.
std::vector<bool> needed_by_results(const Graph& body);

// Copies `body` into `into`, reading `args` where the body reads its own. INVALID_ARGUMENT when
// their numbers differ, or when calls to be replaced go more than 100 deep.
StatusOr<FunctionCopy> copy_function(Graph& into, const Graph& body, std::span<const Endpoint> args,
                                     const FunctionCopyOptions& options);

}  // namespace tenon
