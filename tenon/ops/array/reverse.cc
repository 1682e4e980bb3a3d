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

StatusOr<Kernel> make_reverse(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> axes, resolve_axes(*p.constant(1), shape.rank()));
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
  g.set_dx(0, g.build().op("ReverseV2", {g.dy(), g.input(1)}));
  return absl::OkStatus();
}

}  // namespace

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
