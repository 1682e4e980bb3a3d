#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status tile_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& x = c.input(0);
  const Tensor* multiples = c.constant(1);
  if (!x.has_rank() || !multiples) {
    c.set_output(0, x.has_rank() ? PartialShape::unknown_of_rank(x.rank()) : PartialShape());
    return absl::OkStatus();
  }
  const std::vector<int64_t> counts = integers_of(*multiples);
  if (static_cast<int>(counts.size()) != x.rank()) {
    return invalid_argument("Expected multiples argument to be a vector of length ", x.rank(),
                            " but got length ", counts.size());
  }
  std::vector<int64_t> dims;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t count = counts[static_cast<size_t>(axis)];
    if (count < 0) return invalid_argument("Expected multiples[", axis, "] >= 0, but got ", count);
    TENON_ASSIGN_OR_RETURN(const int64_t size, multiply_dims(x[axis], count));
    dims.push_back(size);
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

// The result seen as [count, size, count, size, ...]: the source stands still along the counts.
StatusOr<Kernel> make_tile(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  const std::vector<int64_t> counts = integers_of(*p.constant(1));
  const Dims strides = kernels::contiguous_strides(shape.dims());
  kernels::StridedCopy copy;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    copy.dims.push_back(counts[i]);
    copy.dims.push_back(shape[axis]);
    copy.source_strides.push_back(0);
    copy.source_strides.push_back(strides[i]);
  }
  copy.target_strides = kernels::contiguous_strides(copy.dims.span());
  copy = kernels::simplify(copy);
  const size_t size = size_of(p.input_dtype(0));
  return [=](KernelRun& r) {
    kernels::run(copy, size, r.input(0).raw(), r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

// array_grad.py, _TileGrad: dy as [count, size, ...], summed over the counts.
Status tile_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.shape_of(g.input(0));
  const Endpoint pairs =
      b.op("Pack", {b.cast(g.input(1), DType::kInt32), shape}, {{"axis", int64_t{1}}});
  const Endpoint split = b.reshape(pairs, b.integers({-1}));
  const Endpoint axes =
      b.op("Range", {b.scalar(int32_t{0}), b.op("Size", {split}), b.scalar(int32_t{2})});
  g.set_dx(0, b.reshape(b.op("Sum", {b.reshape(g.dy(), split), axes}), shape));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Tile) = {
    .inputs = "input: T, multiples: Tmultiples",
    .outputs = "output: T",
    .attrs = "T: type; Tmultiples: {int32, int64} = int32",
    .host_inputs = {1},
    .view_if_same_shape = 0,
    .shape = tile_shape,
    .gradient = tile_gradient,
    .kernels = {make_tile},
};

}  // namespace tenon
