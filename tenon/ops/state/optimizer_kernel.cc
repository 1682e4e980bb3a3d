#include "tenon/ops/state/optimizer_kernel.h"

#include "tenon/ops/state/variable_access.h"

namespace tenon {

Status optimizer_shape(ShapeContext& c, int variables, int gradient, int square) {
  PartialShape shape = c.input(gradient);
  if (square >= 0) {
    TENON_ASSIGN_OR_RETURN(shape, PartialShape::merge(shape, c.input(square)));
  }
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (i < variables) {
      TENON_RETURN_IF_ERROR(expect_variable_dtype(c, i, c.attr<DType>("T")));
      StatusOr<PartialShape> merged = PartialShape::merge(shape, variable_info(c, i).shape);
      if (!merged.ok()) {
        return invalid_argument("the variable at input ", i, " has shape ",
                                variable_info(c, i).shape, ", the gradient ", c.input(gradient));
      }
      shape = *std::move(merged);
    } else if (i != gradient && i != square) {
      TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
    }
  }
  return absl::OkStatus();
}

Status keras_optimizer_shape(ShapeContext& c, std::initializer_list<std::string_view> optional,
                             bool has_square) {
  for (std::string_view name : optional) {
    const int64_t count = c.attr<int64_t>(name);
    if (count > 1) return invalid_argument(name, " is ", count, ", 0 or 1 is expected");
  }
  int variables = 0;
  while (c.input_dtype(variables) == DType::kResource) ++variables;
  const int gradient = c.num_inputs() - 1;
  return optimizer_shape(c, variables, gradient, has_square ? gradient - 1 : -1);
}

Status update_variables(KernelRun& r, int count, int gradient,
                        FunctionRef<void(std::span<Tensor* const>)> body) {
  std::array<Variable*, kMostOptimizerVariables> variables;
  for (int i = 0; i < count; ++i) {
    TENON_ASSIGN_OR_RETURN(variables[static_cast<size_t>(i)], variable_of(r, i));
  }
  const std::span<Variable* const> used(variables.data(), static_cast<size_t>(count));
  const Tensor& g = r.input(gradient);
  return update_together(used, r.context().stream, [&](std::span<Tensor* const> values) -> Status {
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i]->dtype() == g.dtype() && values[i]->shape() == g.shape()) continue;
      return invalid_argument("variable '", used[i]->name(), "' holds ", values[i]->dtype(),
                              values[i]->shape(), ", the gradient is ", g.dtype(), g.shape());
    }
    body(values);
    return absl::OkStatus();
  });
}

}  // namespace tenon
