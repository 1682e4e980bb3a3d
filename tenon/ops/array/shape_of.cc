// Shape, ShapeN, Size, Rank: what is known of a tensor without its elements.
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status shape_op_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    const PartialShape& x = c.input(i);
    c.set_output(i, PartialShape{x.has_rank() ? x.rank() : -1});
  }
  return absl::OkStatus();
}

// Writes `values` as the int32 or int64 elements of an output.
Status check_fits(DType dtype, int64_t value) {
  if (dtype == DType::kInt32 && value > std::numeric_limits<int32_t>::max()) {
    return invalid_argument("the value ", value, " does not fit an int32, out_type must be int64");
  }
  return absl::OkStatus();
}
void write_integer(Tensor& output, int64_t index, int64_t value) {
  if (output.dtype() == DType::kInt32) {
    output.mutable_data<int32_t>()[index] = static_cast<int32_t>(value);
  } else {
    output.mutable_data<int64_t>()[index] = value;
  }
}

StatusOr<Kernel> make_shape(Prepare& p) {
  std::vector<Shape> shapes;
  for (int i = 0; i < p.num_inputs(); ++i) {
    shapes.push_back(p.input_shape(i));
    for (int64_t dim : shapes.back().dims()) {
      TENON_RETURN_IF_ERROR(check_fits(p.output_dtype(i), dim));
    }
  }
  return [shapes](KernelRun& r) {
    for (int i = 0; i < r.num_inputs(); ++i) {
      const Shape& shape = shapes[static_cast<size_t>(i)];
      for (int axis = 0; axis < shape.rank(); ++axis) {
        write_integer(r.output(i), axis, shape[axis]);
      }
    }
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_single(Prepare& p, int64_t value) {
  TENON_RETURN_IF_ERROR(check_fits(p.output_dtype(0), value));
  return [value](KernelRun& r) {
    write_integer(r.output(0), 0, value);
    return absl::OkStatus();
  };
}
StatusOr<Kernel> make_size(Prepare& p) { return make_single(p, p.input_shape(0).num_elements()); }
StatusOr<Kernel> make_rank(Prepare& p) { return make_single(p, p.input_shape(0).rank()); }

constexpr OpDecl shape_query(ArgsText inputs, ArgsText outputs, AttrsText attrs, ShapeFn shape,
                             KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .host_outputs = HostInputs::all(),
      .needs_only_shapes = true,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(Shape) = shape_query("input: T", "output: out_type",
                              "T: type; out_type: {int32, int64} = int32", shape_op_shape,
                              make_shape);
TENON_OP(ShapeN) = shape_query("input: N * T", "output: N * out_type",
                               "N: int >= 1; T: type; out_type: {int32, int64} = int32",
                               shape_op_shape, make_shape);
TENON_OP(Size) = shape_query("input: T", "output: out_type",
                             "T: type; out_type: {int32, int64} = int32", scalar_shape, make_size);
TENON_OP(Rank) = shape_query("input: T", "output: int32", "T: type", scalar_shape, make_rank);

}  // namespace tenon
