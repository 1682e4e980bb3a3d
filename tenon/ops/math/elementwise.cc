#include "tenon/ops/math/elementwise.h"

#include "tenon/kernels/broadcast.h"

namespace tenon {

using kernels::BinaryOp;

Status same_shape_inputs(ShapeContext& c) {
  const StatusOr<PartialShape> shape = PartialShape::merge(c.input(0), c.input(1));
  if (!shape.ok()) {
    return invalid_argument("the inputs must have the same shape, they have ", c.input(0), " and ",
                            c.input(1));
  }
  c.set_output(0, *shape);
  return absl::OkStatus();
}

StatusOr<Kernel> make_unary_kernel(Prepare& p, kernels::UnaryOp op) {
  const DType dtype = p.input_dtype(0);
  const kernels::UnaryKernel kernel = kernels::find_unary(op, dtype);
  if (!kernel) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  const size_t x_size = size_of(dtype);
  const size_t y_size = size_of(p.output_dtype(0));
  const int64_t count = p.input_shape(0).num_elements();
  if (x_size == y_size) p.may_overwrite(0, 0);
  return [=](KernelRun& r) {
    kernels::apply_unary(kernel, x_size, r.input(0).raw(), y_size, r.output(0).mutable_raw(),
                         count);
    return absl::OkStatus();
  };
}

namespace {

bool divides(BinaryOp op) {
  return op == BinaryOp::kDiv || op == BinaryOp::kFloorDiv || op == BinaryOp::kFloorMod ||
         op == BinaryOp::kTruncateMod;
}

bool any_negative(DType dtype, const Tensor& tensor) {
  bool found = false;
  visit<TypeList<int8_t, int16_t, int32_t, int64_t>>(dtype, [&]<class T>() {
    for (T value : tensor.span<T>()) found |= value < 0;
  });
  return found;
}

// What an integer op must refuse in its second input.
using BinaryCheck = Status (*)(const Tensor& b);
template <absl::StatusCode code>
Status refuse_zero(const Tensor& b) {
  if (!kernels::contains_zero(b.dtype(), b.raw(), b.num_elements())) return absl::OkStatus();
  return make_status(code, "Integer division by zero");
}
BinaryCheck binary_check(const std::string& name, BinaryOp op, DType dtype) {
  if (divides(op) && is_integer(dtype)) {
    return name.starts_with("Truncate") ? refuse_zero<absl::StatusCode::kInternal>
                                        : refuse_zero<absl::StatusCode::kInvalidArgument>;
  }
  if (op == BinaryOp::kPow && is_signed_integer(dtype)) {
    return [](const Tensor& b) {
      return any_negative(b.dtype(), b)
                 ? invalid_argument("Integers to negative integer powers are not allowed")
                 : absl::OkStatus();
    };
  }
  return nullptr;
}

}  // namespace

// The integer that holds a quantised number; other dtypes as they are.
static DType held_as(DType dtype) {
  switch (dtype) {
    case DType::kQint8:
      return DType::kInt8;
    case DType::kQuint8:
      return DType::kUint8;
    case DType::kQint16:
      return DType::kInt16;
    case DType::kQuint16:
      return DType::kUint16;
    case DType::kQint32:
      return DType::kInt32;
    default:
      return dtype;
  }
}

StatusOr<Kernel> make_binary_kernel(Prepare& p, BinaryOp op) {
  const DType dtype = held_as(p.input_dtype(0));
  const kernels::BinaryKernel kernel = kernels::find_binary(op, dtype);
  if (!kernel) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  const Shape shapes[] = {p.input_shape(0), p.input_shape(1)};
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  const size_t x_size = size_of(dtype);
  const size_t y_size = size_of(p.output_dtype(0));
  for (int i = 0; i < 2; ++i) {
    if (shapes[i] == plan.shape && x_size == y_size) p.may_overwrite(i, 0);
  }
  const BinaryCheck check = plan.count > 0 ? binary_check(p.op().name(), op, dtype) : nullptr;
  return [=](KernelRun& r) {
    if (check) TENON_RETURN_IF_ERROR(check(r.input(1)));
    kernels::run_binary(plan, kernel, x_size, r.input(0).raw(), r.input(1).raw(), y_size,
                        r.output(0).mutable_raw());
    return absl::OkStatus();
  };
}

}  // namespace tenon
