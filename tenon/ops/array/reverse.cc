// ReverseV2 and Reverse: elements in the other order along some axes.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status reverse_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  if (c.constant(1) && c.input(0).has_rank()) {
    TENON_RETURN_IF_ERROR(resolve_axes(*c.constant(1), c.input(0).rank()).status());
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// Reverse names its axes by a flag for each.
Status reverse_flags_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& x = c.input(0);
  const PartialShape& flags = c.input(1);
  if (x.has_rank() && flags.has_rank() && flags[0] >= 0 && flags[0] != x.rank()) {
    return invalid_argument(
        "reverse dims must have the same number of values as the dimensions of "
        "tensor: ",
        x.rank(), ", it has ", flags[0]);
  }
  if (x.has_rank() && x.rank() > 0 && x[0] == 0) {
    return invalid_argument("Invalid input first dimension. Found 0.");
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

StatusOr<std::vector<int>> reversed_axes(const Prepare& p) {
  const Tensor& chosen = *p.constant(1);
  if (chosen.dtype() != DType::kBool) return resolve_axes(chosen, p.input_shape(0).rank());
  std::vector<int> axes;
  for (int i = 0; i < static_cast<int>(chosen.num_elements()); ++i) {
    if (chosen.data<uint8_t>()[i] != 0) axes.push_back(i);
  }
  return axes;
}

StatusOr<Kernel> make_reverse(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> axes, reversed_axes(p));
  kernels::StridedCopy copy;
  copy.dims = Dims(shape.dims());
  copy.source_strides = copy.target_strides = kernels::contiguous_strides(shape.dims());
  int64_t offset = 0;
  for (int axis : axes) {
    int64_t& stride = copy.source_strides[static_cast<size_t>(axis)];
    offset += std::max<int64_t>(shape[axis] - 1, 0) * stride;
    stride = -stride;
  }
  copy = kernels::simplify(copy);
  const size_t size = size_of(p.input_dtype(0));
  return [=](KernelRun& r) {
    kernels::run(copy, size, r.in<char>(0) + offset * static_cast<int64_t>(size),
                 r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

Status reverse_gradient(Gradient& g) {
  g.set_dx(0, g.build().op(g.forward().op->name(), {g.dy(), g.input(1)}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Reverse) = {
    .inputs = "tensor: T, dims: bool",
    .outputs = "output: T",
    .attrs = "T: {numeric, bool, string}",
    .host_inputs = {1},
    .shape = reverse_flags_shape,
    .gradient = reverse_gradient,
    .kernels = {make_reverse},
};

TENON_OP(ReverseV2) = {
    .inputs = "tensor: T, axis: Tidx",
    .outputs = "output: T",
    .attrs = "Tidx: {int32, int64} = int32; T: {numeric, bool, string}",
    .host_inputs = {1},
    .shape = reverse_shape,
    .gradient = reverse_gradient,
    .kernels = {make_reverse},
};

}  // namespace tenon
