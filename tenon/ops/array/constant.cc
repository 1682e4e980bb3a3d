// Const, HostConst, FakeParam.
#include <cstring>

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

// The argument of a function that nobody gives: zeros of what is known of its shape.
Status fake_param_shape(ShapeContext& c) {
  PartialShape shape = c.attr<PartialShape>("shape");
  if (shape.is_fully_known()) {
    TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), size_of(c.attr<DType>("dtype"))).status());
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_fake_param(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  const PartialShape shape = p.output_shape(0);
  if (!shape.is_fully_known()) {
    return unimplemented("FakeParam of shape ", shape, ", which is not fully known");
  }
  return [=](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Tensor value, r.allocate(dtype, shape.to_shape()));
    if (!is_object(dtype) && value.num_bytes() > 0) {
      std::memset(value.mutable_raw(), 0, value.num_bytes());
    }
    r.set_output(0, std::move(value));
    return absl::OkStatus();
  };
}

}  // namespace

TENON_OP(FakeParam) = {
    .inputs = "",
    .outputs = "output: dtype",
    .attrs = "dtype: type; shape: shape",
    .supplies_outputs = true,
    .shape = fake_param_shape,
    .gradient = not_differentiable,
    .kernels = {make_fake_param},
};

// A constant in host memory.
TENON_OP(HostConst) = {
    .inputs = "",
    .outputs = "output: dtype",
    .attrs = "value: tensor; dtype: type",
    .host_outputs = {0},
    .supplies_outputs = true,
    .shape = const_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_const},
};

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
