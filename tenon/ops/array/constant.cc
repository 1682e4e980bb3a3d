#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status const_shape(ShapeContext& c) {
  const Tensor& value = c.attr<Tensor>("value");
  if (value.dtype() != c.attr<DType>("dtype")) {
    return invalid_argument("attribute 'value' is a ", value.dtype(), ", attribute 'dtype' is ",
                            c.attr<DType>("dtype"));
  }
  c.set_output(0, value.shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_const(Prepare& p) {
  return [value = p.attr<Tensor>("value")](KernelRun& r) {
    r.set_output(0, value);
    return absl::OkStatus();
  };
}

}  // namespace

TENON_OP(Const) = {
    .inputs = "",
    .outputs = "output: dtype",
    .attrs = "value: tensor; dtype: type",
    .supplies_outputs = true,
    .shape = const_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_const},
};

}  // namespace tenon
