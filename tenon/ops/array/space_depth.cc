// SpaceToDepth and DepthToSpace: blocks of pixels to and from channels.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status check_space_depth(ShapeContext& c) {
  if (c.attr<std::string>("data_format") != "NHWC") {
    return invalid_argument("Only NHWC data_format supported on CPU. Got ",
                            c.attr<std::string>("data_format"));
  }
  return c.expect_rank(0, 4);
}

Status space_to_depth_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_space_depth(c));
  const auto block = c.attr<int64_t>("block_size");
  PartialShape y = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(4);
  for (int axis : {1, 2}) {
    if (y[axis] < 0) continue;
    if (y[axis] % block != 0) {
      return invalid_argument("Image width ", y[2], " and height ", y[1],
                              " should be divisible by block_size: ", block);
    }
    y.set(axis, y[axis] / block);
  }
  TENON_ASSIGN_OR_RETURN(const int64_t cells, multiply_dims(block, block));
  TENON_ASSIGN_OR_RETURN(const int64_t depth, multiply_dims(y[3], cells));
  y.set(3, depth);
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

Status depth_to_space_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_space_depth(c));
  const auto block = c.attr<int64_t>("block_size");
  PartialShape y = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(4);
  TENON_ASSIGN_OR_RETURN(const int64_t cells, multiply_dims(block, block));
  if (y[3] >= 0) {
    if (y[3] % cells != 0) {
      return invalid_argument("Input depth dimension ", y[3], " should be divisible by: ", cells);
    }
    y.set(3, y[3] / cells);
  }
  for (int axis : {1, 2}) {
    TENON_ASSIGN_OR_RETURN(const int64_t size, multiply_dims(y[axis], block));
    y.set(axis, size);
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Axes of the copy: batch, row of blocks, row in a block, column of blocks, column in a block,
// channels of the space.
template <bool to_depth>
StatusOr<Kernel> make_space_depth(Prepare& p) {
  const auto block = p.attr<int64_t>("block_size");
  const Shape output = p.output_shape(0).to_shape();
  const Shape& space = to_depth ? p.input_shape(0) : output;
  const Shape& depth = to_depth ? output : p.input_shape(0);
  const int64_t rows = depth[1], columns = depth[2], channels = space[3];
  const int64_t pixel = depth[3];
  kernels::StridedCopy copy;
  copy.dims = {space[0], rows, block, columns, block, channels};
  const int64_t row = space[2] * channels;
  copy.source_strides = {space[1] * row, block * row, row, block * channels, channels, 1};
  copy.target_strides = {
      rows * columns * pixel, columns * pixel, block * channels, pixel, channels, 1};
  if (!to_depth) std::swap(copy.source_strides, copy.target_strides);
  const bool empty = output.num_elements() == 0;
  return Kernel(
      [copy = kernels::simplify(copy), bytes = size_of(p.input_dtype(0)), empty](KernelRun& r) {
        if (empty) return absl::OkStatus();
        kernels::run(copy, bytes, r.input(0).raw(), r.output(0).mutable_raw());
        own_elements(r, 0, 0);
        return absl::OkStatus();
      });
}

template <bool to_depth>
Status space_depth_gradient(Gradient& g) {
  g.set_dx(0, g.build().op(to_depth ? "DepthToSpace" : "SpaceToDepth", {g.dy()},
                           {{"block_size", g.attr<int64_t>("block_size")},
                            {"data_format", g.attr<std::string>("data_format")}}));
  return absl::OkStatus();
}

template <bool to_depth>
constexpr OpDecl space_depth(ShapeFn shape) {
  return {
      .inputs = "input: T",
      .outputs = "output: T",
      .attrs =
          "T: type; block_size: int >= 2; data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'",
      .shape = shape,
      .rows = Rows::kIndependent,
      .gradient = space_depth_gradient<to_depth>,
      .kernels = {make_space_depth<to_depth>},
  };
}

}  // namespace

TENON_OP(SpaceToDepth) = space_depth<true>(space_to_depth_shape);
TENON_OP(DepthToSpace) = space_depth<false>(depth_to_space_shape);

}  // namespace tenon
