// _LiteFullyConnected, _LiteTransposeConv: filters [out, in] and [out, rows, columns, in].
#include "tenon/ops/tflite/conv_form.h"

namespace tenon {
namespace {

using lite::check_bias;
using lite::check_conv;
using lite::check_filter_size;
using lite::pair_of;

// --- fully connected: [.., in] as rows, [out, in] ---

Status lite_connected_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c, out));
  TENON_RETURN_IF_ERROR(check_bias(c, out));
  if (x.has_rank() && w.has_rank() && x[1] >= 0 && w[1] >= 0 && x[1] != w[1]) {
    return invalid_argument("rows of ", x[1], " and weights of shape ", w);
  }
  c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, out});
  return absl::OkStatus();
}

StatusOr<Kernel> make_lite_connected(Prepare& p) {
  kernels::LevelConvSpec spec;
  TENON_RETURN_IF_ERROR(lite::set_levels(p, spec));
  spec.batch = p.input_shape(0)[0];
  spec.in = p.input_shape(0)[1];
  spec.out = p.input_shape(1)[0];
  spec.rows = spec.columns = spec.out_rows = spec.out_columns = 1;
  spec.once = spec.multipliers.size() > 1;
  return lite::make_level_conv(p, spec);
}

// --- transposed convolution: the filter is [out, rows, columns, in] ---

Status lite_transpose_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  TENON_ASSIGN_OR_RETURN(const PartialShape y, c.shape_from_input(3));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c, out));
  TENON_RETURN_IF_ERROR(check_bias(c, out));
  TENON_ASSIGN_OR_RETURN(const auto stride, pair_of(c.attrs(), "strides"));
  if (!c.constant(3)) {
    c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, -1, -1, out});
    return absl::OkStatus();
  }
  const PartialShape channels = {x.has_rank() ? x[0] : -1, -1, -1, out};
  if (y.rank() != 4 || y[0] < 0 || y[1] < 0 || y[2] < 0 || y[3] < 0 ||
      !PartialShape::merge(y, channels).ok()) {
    return invalid_argument("an output of shape ", y, " for ", x, " and a filter of ", w);
  }
  if (x.has_rank() && w.has_rank()) {
    if (x[3] >= 0 && w[3] >= 0 && x[3] != w[3]) {
      return invalid_argument("an input of shape ", x, " and a filter of shape ", w);
    }
    TENON_RETURN_IF_ERROR(check_filter_size(w));
    const int64_t strides[] = {stride.first, stride.second};
    for (int i = 0; i < 2; ++i) {
      if (x[i + 1] < 0 || w[i + 1] < 0) continue;
      TENON_ASSIGN_OR_RETURN(const Window window, window_output(y[i + 1], w[i + 1], 1, strides[i],
                                                                c.attr<std::string>("padding")));
      if (window.output != x[i + 1]) {
        return invalid_argument("an output of shape ", y, " gives ", window.output, " along axis ",
                                i + 1, " of the input, which has ", x);
      }
    }
  }
  c.set_output(0, y);
  return absl::OkStatus();
}

StatusOr<Kernel> make_lite_transpose(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const Shape& w = p.input_shape(1);
  const Shape y = p.output_shape(0).to_shape();
  kernels::LevelConvSpec spec;
  TENON_RETURN_IF_ERROR(lite::set_levels(p, spec));
  TENON_ASSIGN_OR_RETURN(const auto stride, pair_of(p.attrs(), "strides"));
  spec.transposed = true;
  spec.stride[0] = stride.first;
  spec.stride[1] = stride.second;
  for (int i = 0; i < 2; ++i) {
    TENON_ASSIGN_OR_RETURN(const Window window, window_output(y[i + 1], w[i + 1], 1, spec.stride[i],
                                                              p.attr<std::string>("padding")));
    spec.before[i] = window.before;
  }
  spec.batch = x[0];
  spec.rows = x[1];
  spec.columns = x[2];
  spec.in = x[3];
  spec.out = w[0];
  spec.kernel_rows = w[1];
  spec.kernel_columns = w[2];
  spec.out_rows = y[1];
  spec.out_columns = y[2];
  return lite::make_level_conv(p, spec);
}

}  // namespace

TENON_OP(_LiteTransposeConv) = {
    .inputs = "x: T, filter: W, bias: B, output_shape: int32",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS
             "; W: {int8, uint8}; B: {int32, int64}; strides: list(int); "
             "padding: {'SAME', 'VALID'}; " TENON_LITE_FACTORS,
    .host_inputs = {3},
    .shape = lite_transpose_shape,
    .gradient = not_differentiable,
    .kernels = {make_lite_transpose},
};

TENON_OP(_LiteFullyConnected) = {
    .inputs = "x: T, filter: W, bias: B",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS "; W: {int8, uint8}; B: {int32, int64}; " TENON_LITE_FACTORS,
    .shape = lite_connected_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_lite_connected},
};

}  // namespace tenon
