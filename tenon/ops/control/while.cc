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
  std::shared_ptr<FunctionRunner> body;
  std::vector<PartialShape> shapes;
};

Status run_while(const WhileLoop& loop, KernelRun& r) {
  std::vector<Tensor> state, next, holds;
  for (int i = 0; i < r.num_inputs(); ++i) state.push_back(r.input(i));
  for (;;) {
    TENON_RETURN_IF_ERROR(loop.condition->run(r.context(), state, holds));
    TENON_ASSIGN_OR_RETURN(const bool again, truth_of(holds[0]));
    if (!again) break;
    TENON_RETURN_IF_ERROR(loop.body->run(r.context(), state, next));
    state.swap(next);
    // Runs write results in place when nobody holds them: the state before is no longer needed.
    next.clear();
  }
  for (Tensor& value : state) value = value.keep();
  return set_outputs(r, std::move(state), loop.shapes);
}

StatusOr<Kernel> make_while(Prepare& p) {
  WhileLoop loop;
  TENON_ASSIGN_OR_RETURN(loop.condition, p.function("cond"));
  TENON_ASSIGN_OR_RETURN(loop.body, p.function("body"));
  const int count = p.num_inputs();
  if (loop.condition->num_args() != count || loop.condition->num_results() != 1 ||
      loop.body->num_args() != count || loop.body->num_results() != count) {
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
