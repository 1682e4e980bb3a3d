// Conv3D and its gradient ops (tensorflow/python/ops/nn_grad.py).
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/conv_kernel.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// Unlike Conv2D's, its channels are not split into groups.
Status conv3d_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape,
                         conv_output_shape(c.attrs(), c.input(0), c.input(1), false));
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(c.attrs()));
  const PartialShape& input = c.input(0);
  const PartialShape& filter = c.input(1);
  if (filter.num_elements() == 0) {
    return invalid_argument("filter must not have zero elements, its shape is ", filter);
  }
  if (input.has_rank() && filter.has_rank()) {
    const int64_t channels = input[window.channel_axis()], filter_in = filter[window.rank];
    if (channels >= 0 && filter_in >= 0 && channels != filter_in) {
      return invalid_argument("the input of shape ", input, " has ", channels,
                              " channels, the filter of shape ", filter, " is for ", filter_in);
    }
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

AttrMap conv3d_attrs(const Gradient& g) {
  AttrMap attrs;
  for (const char* name : {"strides", "padding", "data_format", "dilations"}) {
    attrs.set(name, *g.forward().attrs.find(name));
  }
  return attrs;
}

// Input 0 and 1 are activations and filter.
Status conv3d_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint input = g.input(0), filter = g.input(1), dy = g.dy();
  g.set_dx(0, b.op("Conv3DBackpropInputV2", {b.shape_of(input), filter, dy}, conv3d_attrs(g)));
  g.set_dx(1, b.op("Conv3DBackpropFilterV2", {input, b.shape_of(filter), dy}, conv3d_attrs(g)));
  return absl::OkStatus();
}

// Inputs: sizes, filter, d_output.
Status conv3d_input_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint filter = g.input(1), d_output = g.input(2), dy = g.dy();
  g.set_dx(1, b.op("Conv3DBackpropFilterV2", {dy, b.shape_of(filter), d_output}, conv3d_attrs(g)));
  g.set_dx(2, b.op("Conv3D", {dy, filter}, conv3d_attrs(g)));
  return absl::OkStatus();
}

// Inputs: activations, sizes, d_output.
Status conv3d_filter_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint input = g.input(0), d_output = g.input(2), dy = g.dy();
  g.set_dx(0, b.op("Conv3DBackpropInputV2", {b.shape_of(input), dy, d_output}, conv3d_attrs(g)));
  g.set_dx(2, b.op("Conv3D", {input, dy}, conv3d_attrs(g)));
  return absl::OkStatus();
}

#define TENON_CONV_3D_ATTRS                                              \
  "T: {floating}; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; " \
  "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; dilations: list(int) = [1, 1, 1, 1, 1]"

}  // namespace

TENON_OP(Conv3D) = {
    .inputs = "input: T, filter: T",
    .outputs = "output: T",
    .attrs = TENON_CONV_3D_ATTRS,
    .shape = conv3d_shape,
    .rows = Rows::kIndependent,
    .gradient = conv3d_gradient,
    .kernels = {[](Prepare& p) { return make_conv_kernel(p, false); }},
};

TENON_OP(Conv3DBackpropInputV2) = {
    .inputs = "input_sizes: Tshape, filter: T, out_backprop: T",
    .outputs = "output: T",
    .attrs = TENON_CONV_3D_ATTRS "; Tshape: {int32, int64} = int32",
    .host_inputs = {0},
    .shape = [](ShapeContext& c) { return conv_gradient_shape(c, false, false); },
    .gradient = conv3d_input_gradient,
    .kernels = {[](Prepare& p) { return make_conv_input_gradient_kernel(p, false); }},
};

TENON_OP(Conv3DBackpropFilterV2) = {
    .inputs = "input: T, filter_sizes: int32, out_backprop: T",
    .outputs = "output: T",
    .attrs = TENON_CONV_3D_ATTRS,
    .host_inputs = {1},
    .shape = [](ShapeContext& c) { return conv_gradient_shape(c, false, true); },
    .gradient = conv3d_filter_gradient,
    .kernels = {[](Prepare& p) { return make_conv_filter_gradient_kernel(p, false); }},
};

#undef TENON_CONV_3D_ATTRS

}  // namespace tenon
