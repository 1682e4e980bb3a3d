// Products, convolutions, pooling and resizing. TensorFlow Lite's filters are [out, rows, columns,
// in]; TensorFlow's [rows, columns, in, out].
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

Endpoint with_bias(OperatorContext& c, Endpoint value, int bias) {
  return c.has_input(bias) ? c.b.op("BiasAdd", {value, c.in(bias)}) : value;
}

std::vector<int64_t> nhwc(int64_t rows, int64_t columns) { return {1, rows, columns, 1}; }

void conv_2d(OperatorContext& c) {
  const auto& o = c.options<schema::Conv2DOptions>();
  const Endpoint filter = c.b.op("Transpose", {c.in(1), c.b.integers({1, 2, 3, 0})});
  const Endpoint value = c.b.op("Conv2D", {c.in(0), filter},
                                {{"strides", nhwc(o.stride_h(), o.stride_w())},
                                 {"padding", padding_name(o.padding())},
                                 {"dilations", nhwc(o.dilation_hfactor(), o.dilation_wfactor())}});
  c.set_activated(with_bias(c, value, 2), o.fused_activation_function());
}

// The filter is [1, rows, columns, in * multiplier].
void depthwise_conv_2d(OperatorContext& c) {
  const auto& o = c.options<schema::DepthwiseConv2DOptions>();
  const PartialShape shape = c.in_shape(1);
  const PartialShape input = c.in_shape(0);
  if (!shape.has_rank() || shape.rank() != 4 || !shape.is_fully_known()) {
    return c.fail(unimplemented("a filter of shape ", shape, "; expected [1, rows, columns, n]"));
  }
  const int64_t channels = input.has_rank() && input.rank() == 4 ? input[3] : -1;
  const int64_t multiplier = channels > 0 ? shape[3] / channels : o.depth_multiplier();
  if (multiplier <= 0 || shape[3] % multiplier != 0 || shape[0] != 1) {
    return c.fail(invalid_argument("a filter of shape ", shape, " for ", channels, " channels"));
  }
  const int64_t dims[] = {shape[1], shape[2], shape[3] / multiplier, multiplier};
  const Endpoint value = c.b.op("DepthwiseConv2dNative", {c.in(0), c.b.reshape(c.in(1), dims)},
                                {{"strides", nhwc(o.stride_h(), o.stride_w())},
                                 {"padding", padding_name(o.padding())},
                                 {"dilations", nhwc(o.dilation_hfactor(), o.dilation_wfactor())}});
  c.set_activated(with_bias(c, value, 2), o.fused_activation_function());
}

void transpose_conv(OperatorContext& c) {
  const auto& o = c.options<schema::TransposeConvOptions>();
  const Endpoint filter = c.b.op("Transpose", {c.in(1), c.b.integers({1, 2, 0, 3})});
  const Endpoint value = c.b.op(
      "Conv2DBackpropInput", {c.in(0), filter, c.in(2)},
      {{"strides", nhwc(o.stride_h(), o.stride_w())}, {"padding", padding_name(o.padding())}});
  c.set_activated(with_bias(c, value, 3), o.fused_activation_function());
}

AttrMap volume_attrs(const schema::Conv3DOptions& o) {
  return {{"strides", std::vector<int64_t>{1, o.stride_d(), o.stride_h(), o.stride_w(), 1}},
          {"padding", padding_name(o.padding())},
          {"dilations", std::vector<int64_t>{1, o.dilation_dfactor(), o.dilation_hfactor(),
                                             o.dilation_wfactor(), 1}}};
}

void conv_3d(OperatorContext& c) {
  const auto& o = c.options<schema::Conv3DOptions>();
  const Endpoint value = c.b.op("Conv3D", {c.in(0), c.in(1)}, volume_attrs(o));
  c.set_activated(with_bias(c, value, 2), o.fused_activation_function());
}

void conv_3d_transpose(OperatorContext& c) {
  const auto& o = c.options<schema::Conv3DOptions>();
  const Endpoint value =
      c.b.op("Conv3DBackpropInputV2", {c.in(0), c.in(1), c.in(2)}, volume_attrs(o));
  c.set_activated(with_bias(c, value, 3), o.fused_activation_function());
}

void fully_connected(OperatorContext& c) {
  const auto& o = c.options<schema::FullyConnectedOptions>();
  const PartialShape weights = c.in_shape(1);
  if (o.weights_format() != 0) {
    return c.fail(unimplemented("weights in the shuffled format"));
  }
  if (!weights.has_rank() || weights.rank() != 2) {
    return c.fail(invalid_argument("weights of shape ", weights, ", expected rank 2"));
  }
  const Endpoint value = c.b.matmul(connected_rows(c), c.in(1), false, true);
  c.set(0, connected_result(c, c.activate(with_bias(c, value, 2), o.fused_activation_function())));
}

void batch_matmul(OperatorContext& c) {
  const auto& o = c.options<schema::BatchMatMulOptions>();
  c.set(0,
        c.b.op("BatchMatMulV2", {c.in(0), c.in(1)}, {{"adj_x", o.adj_x()}, {"adj_y", o.adj_y()}}));
}

Endpoint pool(OperatorContext& c, const char* name, Endpoint value) {
  const auto& o = c.options<schema::Pool2DOptions>();
  return c.b.op(name, {value},
                {{"ksize", nhwc(o.filter_height(), o.filter_width())},
                 {"strides", nhwc(o.stride_h(), o.stride_w())},
                 {"padding", padding_name(o.padding())}});
}

void average_pool(OperatorContext& c) {
  c.set_activated(pool(c, "AvgPool", c.in(0)),
                  c.options<schema::Pool2DOptions>().fused_activation_function());
}

void max_pool(OperatorContext& c) {
  c.set_activated(pool(c, "MaxPool", c.in(0)),
                  c.options<schema::Pool2DOptions>().fused_activation_function());
}

// The root of the mean of squares.
void l2_pool(OperatorContext& c) {
  const Endpoint squares = pool(c, "AvgPool", c.b.op("Square", {c.in(0)}));
  c.set_activated(c.b.op("Sqrt", {squares}),
                  c.options<schema::Pool2DOptions>().fused_activation_function());
}

template <class Options>
void resize(OperatorContext& c, const char* name) {
  const auto& o = c.options<Options>();
  c.set(0, c.b.op(name, {c.in(0), c.in(1)},
                  {{"align_corners", o.align_corners()},
                   {"half_pixel_centers", o.half_pixel_centers()}}));
}

void resize_bilinear(OperatorContext& c) {
  resize<schema::ResizeBilinearOptions>(c, "ResizeBilinear");
}

void resize_nearest(OperatorContext& c) {
  resize<schema::ResizeNearestNeighborOptions>(c, "ResizeNearestNeighbor");
}

// LiteRT adds the squares of channels [c - radius, c + radius): TensorFlow's LRN has one more.
void local_response_normalization(OperatorContext& c) {
  const auto& o = c.options<schema::LocalResponseNormalizationOptions>();
  const int64_t radius = o.radius();
  const PartialShape shape = c.in_shape(0);
  if (!shape.has_rank() || shape.rank() != 4) {
    return c.fail(invalid_argument("an input of shape ", shape, ", expected rank 4"));
  }
  if (radius < 1 || radius > 64) return c.fail(unimplemented("a radius of ", radius));
  std::vector<int32_t> paddings(8, 0);
  paddings[6] = static_cast<int32_t>(radius);
  paddings[7] = static_cast<int32_t>(radius - 1);
  const Endpoint padded = c.b.op(
      "Pad",
      {c.b.op("Square", {c.in(0)}), c.b.constant(Tensor::from<int32_t>(Shape{4, 2}, paddings))});
  const Endpoint size = c.b.shape_of(c.in(0));
  std::vector<Endpoint> terms;
  for (int64_t i = 0; i < 2 * radius; ++i) {
    terms.push_back(c.b.op("Slice", {padded, c.b.integers({0, 0, 0, i}), size}));
  }
  const auto number = [&](float value) { return c.b.scalar<float>(value); };
  const Endpoint sum = c.b.mul(c.b.op("AddN", std::move(terms)), number(o.alpha()));
  const Endpoint factor = c.b.op("Pow", {c.b.add(sum, number(o.bias())), number(-o.beta())});
  c.set(0, c.b.mul(c.in(0), factor));
}

}  // namespace

TENON_LITE_OPERATOR(AVERAGE_POOL_2D, average_pool)
TENON_LITE_OPERATOR(BATCH_MATMUL, batch_matmul)
TENON_LITE_OPERATOR(CONV_2D, conv_2d)
TENON_LITE_OPERATOR(CONV_3D, conv_3d)
TENON_LITE_OPERATOR(CONV_3D_TRANSPOSE, conv_3d_transpose)
TENON_LITE_OPERATOR(DEPTHWISE_CONV_2D, depthwise_conv_2d)
TENON_LITE_OPERATOR(FULLY_CONNECTED, fully_connected)
TENON_LITE_OPERATOR(L2_POOL_2D, l2_pool)
TENON_LITE_OPERATOR(LOCAL_RESPONSE_NORMALIZATION, local_response_normalization)
TENON_LITE_OPERATOR(MAX_POOL_2D, max_pool)
TENON_LITE_OPERATOR(RESIZE_BILINEAR, resize_bilinear)
TENON_LITE_OPERATOR(RESIZE_NEAREST_NEIGHBOR, resize_nearest)
TENON_LITE_OPERATOR(TRANSPOSE_CONV, transpose_conv)

}  // namespace tenon::lite
