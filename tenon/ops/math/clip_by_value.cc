#include "tenon/core/shape_context.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

Status clip_shape(ShapeContext& c) {
  for (int i = 1; i < 3; ++i) {
    const PartialShape& bound = c.input(i);
    if (!bound.has_rank() || bound.rank() == 0) continue;
    if (!PartialShape::merge(bound, c.input(0)).ok()) {
      return invalid_argument(
          "clip_value_min and clip_value_max must be scalars or of the shape of "
          "the input, ",
          c.input(0), "; input ", i, " has shape ", bound);
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// A complex number is clipped as the pair of its parts.
Shape shape_of_parts(Shape shape, DType dtype) {
  if (is_complex(dtype)) shape.append(2);
  return shape;
}

StatusOr<Kernel> make_clip(Prepare& p) {
  const DType own = p.input_dtype(0);
  const DType dtype = own == DType::kComplex64    ? DType::kFloat
                      : own == DType::kComplex128 ? DType::kDouble
                                                  : own;
  const kernels::BinaryKernel minimum = kernels::find_binary(kernels::BinaryOp::kMinimum, dtype);
  const kernels::BinaryKernel maximum = kernels::find_binary(kernels::BinaryOp::kMaximum, dtype);
  if (!minimum || !maximum) return unimplemented("ClipByValue has no kernel for dtype ", dtype);
  const Shape x = shape_of_parts(p.input_shape(0), own);
  const auto plan = [&](int bound) {
    return kernels::plan_broadcast(
        std::vector<Shape>{x, shape_of_parts(p.input_shape(bound), own)});
  };
  TENON_ASSIGN_OR_RETURN(const auto low, plan(1));
  TENON_ASSIGN_OR_RETURN(const auto high, plan(2));
  const size_t size = size_of(dtype);
  p.may_overwrite(0, 0);
  return [=](KernelRun& r) {
    void* y = r.output(0).mutable_raw();
    kernels::run_binary(high, minimum, size, r.input(0).raw(), r.input(2).raw(), size, y);
    kernels::run_binary(low, maximum, size, y, r.input(1).raw(), size, y);
    return absl::OkStatus();
  };
}

// clip_ops.py, _clip_by_value_grad.
Status clip_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)}, low{b, g.input(1)}, high{b, g.input(2)}, dy{b, g.dy()};
  const Value zeros = zeros_like(dy);
  const Value below = apply("Less", x, low);
  const Value above = apply("Greater", x, high);
  g.set_dx(0, select(apply("LogicalOr", below, above), zeros, dy));
  g.set_dx_broadcast(1, select(below, dy, zeros));
  g.set_dx_broadcast(2, select(above, dy, zeros));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(ClipByValue) = {
    .inputs = "t: T, clip_value_min: T, clip_value_max: T",
    .outputs = "output: T",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}",
    .shape = clip_shape,
    .rows = Rows::kIndependent,
    .gradient = clip_gradient,
    .kernels = {make_clip},
};

}  // namespace tenon
