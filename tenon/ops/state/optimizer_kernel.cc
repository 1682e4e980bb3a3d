#include "tenon/ops/state/optimizer_kernel.h"

#include "tenon/ops/state/variable_access.h"

namespace tenon {

Status optimizer_shape(ShapeContext& c, int variables, int gradient) {
  PartialShape shape = c.input(gradient);
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (i < variables) {
      TENON_RETURN_IF_ERROR(expect_variable_dtype(c, i, c.attr<DType>("T")));
      StatusOr<PartialShape> merged = PartialShape::merge(shape, variable_info(c, i).shape);
      if (!merged.ok()) {
        return invalid_argument("the variable at input ", i, " has shape ",
                                variable_info(c, i).shape, ", the gradient ", c.input(gradient));
      }
      shape = *std::move(merged);
    } else if (i != gradient) {
      TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
    }
  }
  return absl::OkStatus();
}

namespace {

struct OptimizerVariables {
  std::array<Variable*, kMostOptimizerVariables> variables;
  std::array<Tensor*, kMostOptimizerVariables> values;
  size_t count;
};

// Takes hold of one variable after the other, then runs `body`.
Status update_in_turn(OptimizerVariables& all, size_t at, const Tensor& gradient,
                      FunctionRef<void(std::span<Tensor* const>)> body) {
  if (at == all.count) {
    body({all.values.data(), all.count});
    return absl::OkStatus();
  }
  return all.variables[at]->update([&](Tensor& value) -> Status {
    if (value.dtype() != gradient.dtype() || value.shape() != gradient.shape()) {
      return invalid_argument("variable '", all.variables[at]->name(), "' holds ", value.dtype(),
                              value.shape(), ", the gradient is ", gradient.dtype(),
                              gradient.shape());
    }
    all.values[at] = &value;
    return update_in_turn(all, at + 1, gradient, body);
  });
}

}  // namespace

Status update_variables(KernelRun& r, int variables, int gradient,
                        FunctionRef<void(std::span<Tensor* const>)> body) {
  OptimizerVariables all{{}, {}, static_cast<size_t>(variables)};
  for (size_t i = 0; i < all.count; ++i) {
    TENON_ASSIGN_OR_RETURN(all.variables[i], variable_of(r, static_cast<int>(i)));
    for (size_t j = 0; j < i; ++j) {
      if (all.variables[i] == all.variables[j]) {
        return invalid_argument("variable '", all.variables[i]->name(), "' is input ", j, " and ",
                                i);
      }
    }
  }
  return update_in_turn(all, 0, r.input(gradient), body);
}

}  // namespace tenon
