#include "tenon/ops/control/function_call.h"

namespace tenon {

StatusOr<FunctionCall> FunctionCall::make(Prepare& p, std::string_view name, int first_input,
                                          int index) {
  FunctionCall call;
  TENON_ASSIGN_OR_RETURN(call.runner_, p.function(name, index));
  call.first_input_ = first_input;
  if (call.runner_->num_args() != p.num_inputs() - first_input ||
      call.runner_->num_results() != p.num_outputs()) {
    return invalid_argument("function '", name, "' takes ", call.runner_->num_args(),
                            " arguments and returns ", call.runner_->num_results(),
                            " results, the node gives ", p.num_inputs() - first_input,
                            " and expects ", p.num_outputs());
  }
  for (int i = 0; i < p.num_outputs(); ++i) call.shapes_.push_back(p.output_shape(i));
  return call;
}

Status FunctionCall::run_to_outputs(KernelRun& r) const {
  std::vector<Tensor> args;
  for (int i = first_input_; i < r.num_inputs(); ++i) args.push_back(r.input(i));
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(runner_->run(r.context(), args, results));
  return set_outputs(r, std::move(results), shapes_);
}

Status set_outputs(KernelRun& r, std::vector<Tensor> results,
                   std::span<const PartialShape> planned) {
  for (size_t i = 0; i < results.size(); ++i) {
    if (!planned[i].matches(results[i].shape())) {
      return invalid_argument("result ", i, " of a function has shape ", results[i].shape(), ", ",
                              planned[i], " was declared");
    }
    r.set_output(static_cast<int>(i), std::move(results[i]));
  }
  return absl::OkStatus();
}

StatusOr<bool> truth_of(const Tensor& condition) {
  if (condition.rank() != 0) return condition.num_elements() > 0;
  if (condition.dtype() == DType::kBool) return *condition.data<bool>();
  if (condition.dtype() == DType::kString) return !condition.data<std::string_view>()->empty();
  bool truth = false;
  if (!visit<RealTypes>(condition.dtype(), [&]<class T>() {
        truth = static_cast<double>(static_cast<float>(*condition.data<T>())) != 0;
      })) {
    return invalid_argument("a condition of dtype ", condition.dtype(),
                            " is neither true nor false");
  }
  return truth;
}

}  // namespace tenon
