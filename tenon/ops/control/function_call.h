// FunctionCall: how the kernels of calls, If, Case and While run functions of the graph.
#pragma once

#include "tenon/core/interfaces.h"

namespace tenon {

// A function whose arguments are a node's inputs from some index on and whose results are its
// outputs. Cheap to copy, thread-safe.
class FunctionCall {
 public:
  // The function that attribute `name` (element `index` of a list) refers to. INVALID_ARGUMENT when
  // its arguments and results do not fit the node's inputs from `first_input` on and its outputs.
  static StatusOr<FunctionCall> make(Prepare& p, std::string_view name, int first_input,
                                     int index = 0);

  // Runs it on the node's inputs and sets all outputs. INVALID_ARGUMENT when a result has another
  // shape than was planned.
  Status run_to_outputs(KernelRun& r) const;

 private:
  std::shared_ptr<FunctionRunner> runner_;
  int first_input_ = 0;
  std::vector<PartialShape> shapes_;
};

// Sets the node's outputs to `results`, each of which must fit its planned shape.
Status set_outputs(KernelRun& r, std::vector<Tensor> results,
                   std::span<const PartialShape> planned);

// Whether a condition holds, as TensorFlow takes it: a number that is not 0, a string that is not
// empty, and for what is no scalar, whether there are any elements.
StatusOr<bool> truth_of(const Tensor& condition);

}  // namespace tenon
