#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/list/list_math.h"

namespace tenon {
namespace {

Status add_n_shape(ShapeContext& c) {
  PartialShape sum;
  for (int i = 0; i < c.num_inputs(); ++i) {
    StatusOr<PartialShape> merged = PartialShape::merge(sum, c.input(i));
    if (!merged.ok()) {
      return invalid_argument(
          "Inputs to operation of type AddN must have the same size and shape.  "
          "Input 0: ",
          c.input(0), " != input ", i, ": ", c.input(i));
    }
    sum = *std::move(merged);
  }
  c.set_output(0, std::move(sum));
  return absl::OkStatus();
}

StatusOr<Kernel> make_add_n(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (!kernels::find_binary(kernels::BinaryOp::kAdd, dtype)) {
    return unimplemented("AddN has no CPU kernel for dtype ", dtype);
  }
  const int64_t count = p.input_shape(0).num_elements();
  const int inputs = p.num_inputs();
  p.reserve_scratch(static_cast<size_t>(inputs) * sizeof(const void*));
  p.may_overwrite(0, 0);
  return [=](KernelRun& r) {
    const void** pointers = r.scratch<const void*>();
    for (int i = 0; i < inputs; ++i) pointers[i] = r.input(i).raw();
    kernels::add_n(dtype, pointers, inputs, r.output(0).mutable_raw(), count);
    return absl::OkStatus();
  };
}

Status add_n_gradient(Gradient& g) {
  for (int i = 0; i < g.num_inputs(); ++i) g.set_dx(i, g.dy());
  return absl::OkStatus();
}

// The shape is given: the inputs' must agree with it.
Status accumulate_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(add_n_shape(c));
  PartialShape sum = c.attr<PartialShape>("shape");
  for (int i = 0; i < c.num_inputs(); ++i) {
    TENON_ASSIGN_OR_RETURN(sum, PartialShape::merge(sum, c.input(i)));
  }
  c.set_output(0, std::move(sum));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(AccumulateNV2) = {
    .inputs = "inputs: N * T",
    .outputs = "sum: T",
    .attrs = "N: int >= 1; T: {numeric, qint8, quint8, qint32, qint16, quint16}; shape: shape",
    .shape = accumulate_shape,
    .rows = Rows::kIndependent,
    .gradient = add_n_gradient,
    .kernels = {make_add_n},
};

TENON_OP(AddN) = {
    .inputs = "inputs: N * T",
    .outputs = "sum: T",
    .attrs = "N: int >= 1; T: {numeric, qint8, quint8, qint32, qint16, quint16, variant}",
    .shape = add_n_shape,
    .rows = Rows::kIndependent,
    .gradient = add_n_gradient,
    .kernels = {make_add_n, make_add_n_lists},
};

}  // namespace tenon
