// While, StatelessWhile: a function applied to its own results while a condition holds.
#include "tenon/core/op.h"
#include "tenon/graph/specialize.h"
#include "tenon/ops/control/function_call.h"
#include "tenon/ops/control/while_gradient.h"

namespace tenon {
namespace {

// Dimensions that the body keeps are known after any number of iterations.
Status while_shape(ShapeContext& c) {
  const std::vector<PartialShape> results = c.function_results("body", 0);
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.set_output(i, common_shape(c.input(i), results[static_cast<size_t>(i)]));
  }
  return absl::OkStatus();
}

struct WhileLoop {
  std::shared_ptr<FunctionRunner> condition;
  // What runs in each iteration: the body, or the body and the condition of its results, which is
  // then one result more.
  std::shared_ptr<FunctionRunner> body;
  bool body_ends_in_condition = false;
  std::vector<PartialShape> shapes;
};

Status run_while(const WhileLoop& loop, KernelRun& r) {
  const auto count = static_cast<size_t>(r.num_inputs());
  std::vector<Tensor> state, next, holds;
  for (int i = 0; i < r.num_inputs(); ++i) state.push_back(r.input(i));
  TENON_RETURN_IF_ERROR(loop.condition->run(r.context(), state, holds));
  for (;;) {
    const Tensor& condition = state.size() > count ? state.back() : holds[0];
    TENON_ASSIGN_OR_RETURN(const bool again, truth_of(condition));
    if (!again) break;
    TENON_RETURN_IF_ERROR(loop.body->run(r.context(), std::span(state).first(count), next));
    // What was the state is memory for the next results. Objects are let go: who alone has a list
    // changes it in place.
    state.swap(next);
    for (Tensor& value : next) {
      if (is_object(value.dtype())) value = Tensor();
    }
    if (!loop.body_ends_in_condition) {
      TENON_RETURN_IF_ERROR(loop.condition->run(r.context(), state, holds));
    }
  }
  state.resize(count);
  for (Tensor& value : state) value = value.keep();
  return set_outputs(r, std::move(state), loop.shapes);
}

StatusOr<Kernel> make_while(Prepare& p) {
  WhileLoop loop;
  TENON_ASSIGN_OR_RETURN(loop.condition, p.function("cond"));
  loop.body_ends_in_condition = p.attrs().get_if<FunctionAttr>(kLoopStep) != nullptr;
  TENON_ASSIGN_OR_RETURN(loop.body, p.function(loop.body_ends_in_condition ? kLoopStep : "body"));
  const int count = p.num_inputs();
  if (loop.condition->num_args() != count || loop.condition->num_results() != 1 ||
      loop.body->num_args() != count ||
      loop.body->num_results() != count + loop.body_ends_in_condition) {
    return invalid_argument("a loop over ", count, " values has a condition of ",
                            loop.condition->num_args(), " arguments and ",
                            loop.condition->num_results(), " results and a body of ",
                            loop.body->num_args(), " and ", loop.body->num_results());
  }
  for (int i = 0; i < count; ++i) loop.shapes.push_back(p.output_shape(i));
  return Kernel([loop = std::move(loop)](KernelRun& r) { return run_while(loop, r); });
}

}  // namespace

TENON_OP(While) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs =
        "T: list(type) >= 0; cond: func; body: func; output_shapes: list(shape) = []; "
        "parallel_iterations: int = 10",
    .effect = Effect::kCall,
    .supplies_outputs = true,
    .shape = while_shape,
    .gradient = while_gradient,
    .kernels = {make_while},
};

TENON_OP(StatelessWhile) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs =
        "T: list(type) >= 0; cond: func; body: func; output_shapes: list(shape) = []; "
        "parallel_iterations: int = 10",
    .supplies_outputs = true,
    .shape = while_shape,
    .gradient = while_gradient,
    .kernels = {make_while},
};

}  // namespace tenon
