// The body of a function for one node that runs it: what that node knows of the arguments is known
// in the body.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// What is known of an argument.
struct KnownArgument {
  PartialShape shape;
  // The body has it in itself and no longer takes it: the value, or the node that makes the handle
  // of a variable (not owned).
  Tensor constant;
  const Node* handle = nullptr;

  bool is_inside() const { return constant.has_value() || handle; }
};

// A copy of `body`, which takes as many arguments as there are `known`. Shapes are inferred again
// where they go together. With `drop_results` result i goes with argument i: they are a loop's
// state.
StatusOr<Graph> specialize(const Graph& body, std::span<const KnownArgument> known,
                           bool drop_results);

// By argument of a loop's body: whether it gives it back as it is.
std::vector<bool> loop_invariants(const Graph& body);

// An attribute of a loop: the function of one iteration, body and then condition, which gives what
// both give.
inline constexpr std::string_view kLoopStep = "_step";
StatusOr<Graph> loop_step(const Graph& body, const Graph& condition);

// What holds of a value that is one of two.
PartialShape common_shape(const PartialShape& a, const PartialShape& b);

}  // namespace tenon
