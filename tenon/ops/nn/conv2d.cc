// Conv2D and its gradient ops (tensorflow/python/ops/nn_grad.py).
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/conv_kernel.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

Status conv2d_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape,
                         conv_output_shape(c.attrs(), c.input(0), c.input(1), false));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// The attributes that the three ops have in common.
AttrMap conv2d_attrs(const Gradient& g) {
  AttrMap attrs;
  for (const char* name : {"strides", "padding", "explicit_paddings", "data_format", "dilations"}) {
    attrs.set(name, *g.forward().attrs.find(name));
  }
  return attrs;
}

// Input 0 and 1 are activations and filter.
Status conv2d_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint input = g.input(0), filter = g.input(1), dy = g.dy();
  g.set_dx(0, b.op("Conv2DBackpropInput", {b.shape_of(input), filter, dy}, conv2d_attrs(g)));
  g.set_dx(1, b.op("Conv2DBackpropFilter", {input, b.shape_of(filter), dy}, conv2d_attrs(g)));
  return absl::OkStatus();
}

// Inputs: sizes, filter, d_output.
Status conv2d_input_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint filter = g.input(1), d_output = g.input(2), dy = g.dy();
  g.set_dx(1, b.op("Conv2DBackpropFilter", {dy, b.shape_of(filter), d_output}, conv2d_attrs(g)));
  g.set_dx(2, b.op("Conv2D", {dy, filter}, conv2d_attrs(g)));
  return absl::OkStatus();
}

// Inputs: activations, sizes, d_output.
Status conv2d_filter_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint input = g.input(0), d_output = g.input(2), dy = g.dy();
  g.set_dx(0, b.op("Conv2DBackpropInput", {b.shape_of(input), dy, d_output}, conv2d_attrs(g)));
  g.set_dx(2, b.op("Conv2D", {input, dy}, conv2d_attrs(g)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Conv2D) = {
    .inputs = "input: T, filter: T",
    .outputs = "output: T",
    .attrs =
        "T: {floating, int32}; strides: list(int); use_cudnn_on_gpu: bool = true; padding: "
        "{'SAME', 'VALID', 'EXPLICIT'}; "
        "explicit_paddings: list(int) = []; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
        "dilations: list(int) = [1, 1, 1, 1]",
    .shape = conv2d_shape,
    .rows = Rows::kIndependent,
    .gradient = conv2d_gradient,
    .kernels = {[](Prepare& p) { return make_conv_kernel(p, false); }},
};

TENON_OP(Conv2DBackpropInput) = {
    .inputs = "input_sizes: int32, filter: T, out_backprop: T",
    .outputs = "output: T",
    .attrs =
        "T: {floating, int32}; strides: list(int); use_cudnn_on_gpu: bool = true; padding: "
        "{'SAME', 'VALID', 'EXPLICIT'}; "
        "explicit_paddings: list(int) = []; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
        "dilations: list(int) = [1, 1, 1, 1]",
    .host_inputs = {0},
    .shape = [](ShapeContext& c) { return conv_gradient_shape(c, false, false); },
    .gradient = conv2d_input_gradient,
    .kernels = {[](Prepare& p) { return make_conv_input_gradient_kernel(p, false); }},
};

TENON_OP(Conv2DBackpropFilter) = {
    .inputs = "input: T, filter_sizes: int32, out_backprop: T",
    .outputs = "output: T",
    .attrs =
        "T: {floating}; strides: list(int); use_cudnn_on_gpu: bool = true; padding: {'SAME', "
        "'VALID', 'EXPLICIT'}; "
        "explicit_paddings: list(int) = []; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
        "dilations: list(int) = [1, 1, 1, 1]",
    .host_inputs = {1},
    .shape = [](ShapeContext& c) { return conv_gradient_shape(c, false, true); },
    .gradient = conv2d_filter_gradient,
    .kernels = {[](Prepare& p) { return make_conv_filter_gradient_kernel(p, false); }},
};

}  // namespace tenon
