// Gradients of functions: the pieces that the gradients of If, Case and While are made of.
//
// A backward function takes the forward function's arguments and computes its values again from
// them, so nothing has to be kept from the forward run but those arguments. Functions
// that write are refused, and gradients that need a random number again.
#pragma once

#include "tenon/graph/function_library.h"
#include "tenon/graph/gradient.h"

namespace tenon {

// Copies the nodes of `body` that its results need into `into`, reading `args` where the body reads
// its own; calls are inlined. Returns the copies of the results. UNIMPLEMENTED names a node that
// writes a variable.
StatusOr<std::vector<Endpoint>> copy_pure_function(Graph& into, const Graph& body,
                                                   std::span<const Endpoint> args);

// Copies all of `body`, its effects too.
StatusOr<std::vector<Endpoint>> copy_whole_function(Graph& into, const Graph& body,
                                                    std::span<const Endpoint> args);

// Whether gradients flow through values of `dtype`; a resource stands for its variable's value.
bool carries_gradient(DType dtype);

// A function that computes gradients, before its results are chosen. Its arguments are those of
// the forward function, then one gradient for each entry of `of`.
struct BackwardFunction {
  Graph graph;
  std::vector<int> of;         // results of the forward function whose gradients are given
  std::vector<Endpoint> args;  // the forward function's arguments
  std::vector<Endpoint> dy;    // as `of`
  std::vector<Endpoint> dx;    // one for each argument; invalid where no gradient flows
};

// One result of the forward function and the dtype of its gradient (a variable's for a resource).
struct ResultGradient {
  int result = 0;
  DType dtype = DType::kInvalid;
};

// The backward function of `body`, whose arguments look like `args`.
StatusOr<BackwardFunction> make_backward_function(const std::shared_ptr<FunctionLibrary>& library,
                                                  const Graph& body,
                                                  std::span<const ValueInfo> args,
                                                  std::span<const ResultGradient> gradients);

// UNIMPLEMENTED names a node that the results of `graph` need and whose value would not be the same
// when it is computed again.
Status expect_repeatable(const Graph& graph);

// Zeros where no gradient flows: like `value`, or like the value of the variable that it refers to
// (whose gradient has `dtype`).
Endpoint zero_gradient(GraphBuilder& b, Endpoint value, DType dtype);

// True when a node reads variables, so that the function is no constant of its arguments.
bool reads_state(const Graph& graph);

}  // namespace tenon
