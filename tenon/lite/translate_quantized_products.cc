// Products, windows, reductions and what else has an op on levels.
#include "tenon/lite/quantized.h"
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

struct FilterLevels {
  std::vector<Multiplier> factors;
  int32_t zero_point = 0;
};

// Of input 1: scales by output channel along `axis`; zero points that differ are not LiteRT's.
// `data`: the input that is multiplied with it.
bool filter_levels(OperatorContext& c, int data, int axis, bool in_floats, FilterLevels& filter) {
  const TensorInfo& info = c.in_info(1);
  if (!is_levels(info) || info.dtype == DType::kInt16) return false;
  const Quantization& q = info.quantization;
  if (q.scale.size() > 1 && q.axis != axis) return false;
  for (int64_t zero : q.zero_point) {
    if (zero != q.zero_point[0] || zero < -32768 || zero > 32767) return false;
  }
  filter.zero_point = static_cast<int32_t>(q.zero_point[0]);
  const TensorLevels x = input_levels(c, data), y = output_levels(c);
  for (float scale : q.scale) {
    const double product = in_floats ? double{x.scale * scale} : double{x.scale} * double{scale};
    filter.factors.push_back(make_multiplier(product / double{y.scale}));
  }
  return true;
}

// The bias, or zeros of the width that goes with the activations, which have the output's dtype.
Endpoint bias_of(OperatorContext& c, int i, int64_t channels) {
  if (c.has_input(i)) return c.in(i);
  const bool wide = c.out_dtype(0) == DType::kInt16;
  const DType dtype = wide ? DType::kInt64 : DType::kInt32;
  return c.b.op("Fill", {c.b.integers({channels}), c.b.scalar_of(dtype, 0)});
}

bool convolution(OperatorContext& c, const char* name, int axis, std::vector<int64_t> strides,
                 std::vector<int64_t> dilations, int padding, int activation) {
  if (!is_levels(c.out_info(0)) || c.in_dtype(0) != c.out_dtype(0)) return false;
  FilterLevels filter;
  // uint8, the older form, multiplies the scales in floats.
  if (!filter_levels(c, 0, axis, c.in_dtype(0) == DType::kUint8, filter)) return false;
  const PartialShape shape = c.in_shape(1);
  if (!shape.has_rank() || shape.rank() != 4 || shape[axis] < 0) return false;
  const int32_t zero_points[] = {input_levels(c, 0).zero_point, filter.zero_point,
                                 output_levels(c).zero_point};
  AttrMap attrs = factor_attrs(c, filter.factors, zero_points, activation);
  attrs.set("strides", std::move(strides));
  attrs.set("dilations", std::move(dilations));
  attrs.set("padding", padding_name(padding));
  c.set(0, c.b.op(name, {c.in(0), c.in(1), bias_of(c, 2, shape[axis])}, std::move(attrs)));
  return true;
}

bool conv_levels(OperatorContext& c) {
  const auto& o = c.options<schema::Conv2DOptions>();
  return convolution(c, "_LiteConv2D", 0, {o.stride_h(), o.stride_w()},
                     {o.dilation_hfactor(), o.dilation_wfactor()}, o.padding(),
                     o.fused_activation_function());
}

bool depthwise_levels(OperatorContext& c) {
  const auto& o = c.options<schema::DepthwiseConv2DOptions>();
  return convolution(c, "_LiteDepthwiseConv2D", 3, {o.stride_h(), o.stride_w()},
                     {o.dilation_hfactor(), o.dilation_wfactor()}, o.padding(),
                     o.fused_activation_function());
}

bool transpose_levels(OperatorContext& c) {
  const auto& o = c.options<schema::TransposeConvOptions>();
  // The operator's inputs are shape, filter, input, bias.
  if (!is_levels(c.out_info(0)) || c.in_dtype(2) != c.out_dtype(0)) return false;
  FilterLevels filter;
  if (!filter_levels(c, 2, 0, false, filter)) return false;
  const PartialShape shape = c.in_shape(1);
  if (!shape.has_rank() || shape.rank() != 4 || shape[0] < 0) return false;
  const int32_t zero_points[] = {input_levels(c, 2).zero_point, filter.zero_point,
                                 output_levels(c).zero_point};
  AttrMap attrs = factor_attrs(c, filter.factors, zero_points, o.fused_activation_function());
  attrs.set("strides", std::vector<int64_t>{o.stride_h(), o.stride_w()});
  attrs.set("padding", padding_name(o.padding()));
  c.set(0, c.b.op("_LiteTransposeConv", {c.in(2), c.in(1), bias_of(c, 3, shape[0]), c.in(0)},
                  std::move(attrs)));
  return true;
}

bool connected_levels(OperatorContext& c) {
  const auto& o = c.options<schema::FullyConnectedOptions>();
  if (!is_levels(c.out_info(0)) || c.in_dtype(0) != c.out_dtype(0)) return false;
  FilterLevels filter;
  const bool one = c.in_info(1).quantization.scale.size() == 1;
  if (o.weights_format() != 0 || !filter_levels(c, 0, 0, one, filter)) return false;
  const PartialShape weights = c.in_shape(1);
  if (!weights.has_rank() || weights.rank() != 2 || weights[0] < 0 || weights[1] <= 0) return false;
  const int32_t zero_points[] = {input_levels(c, 0).zero_point, filter.zero_point,
                                 output_levels(c).zero_point};
  const Endpoint y =
      c.b.op("_LiteFullyConnected", {connected_rows(c), c.in(1), bias_of(c, 2, weights[0])},
             factor_attrs(c, filter.factors, zero_points, o.fused_activation_function()));
  c.set(0, connected_result(c, y));
  return true;
}

bool pool(OperatorContext& c, const char* name) {
  if (!is_levels(c.out_info(0)) || c.in_dtype(0) != c.out_dtype(0)) return false;
  const auto& o = c.options<schema::Pool2DOptions>();
  const AttrMap range = factor_attrs(c, {}, {}, o.fused_activation_function());
  c.set(0, c.b.op(name, {c.in(0)},
                  {{"ksize", std::vector<int64_t>{o.filter_height(), o.filter_width()}},
                   {"strides", std::vector<int64_t>{o.stride_h(), o.stride_w()}},
                   {"padding", padding_name(o.padding())},
                   {"low", range.get<int64_t>("low")},
                   {"high", range.get<int64_t>("high")}}));
  return true;
}

bool average_pool_levels(OperatorContext& c) { return pool(c, "_LiteAvgPool"); }
bool max_pool_levels(OperatorContext& c) { return pool(c, "_LiteMaxPool"); }

bool softmax_levels(OperatorContext& c) {
  if (!is_levels(c.out_info(0)) || c.in_dtype(0) != c.out_dtype(0)) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  const float beta = c.options<schema::SoftmaxOptions>().beta();
  const Multiplier m = make_multiplier(double{x.scale} * double{beta} / (10.0 / 65535.0));
  c.set(0, c.b.op("_LiteSoftmax", {c.in(0)},
                  {{"scale", x.scale * beta},
                   {"output_scale", y.scale},
                   {"output_zero_point", int64_t{y.zero_point}},
                   {"multiplier", int64_t{m.value}},
                   {"shift", int64_t{m.shift}}}));
  return true;
}

template <bool mean>
bool sum_levels(OperatorContext& c) {
  if (!is_levels(c.out_info(0)) || c.in_dtype(0) != c.out_dtype(0)) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  const Multiplier factor[] = {make_multiplier(double{x.scale} / double{y.scale})};
  const int32_t zero_points[] = {x.zero_point, y.zero_point};
  AttrMap attrs = factor_attrs(c, factor, zero_points, 0);
  attrs.set("keep_dims", c.options<schema::ReducerOptions>().keep_dims());
  attrs.set("mean", mean);
  c.set(0, c.b.op("_LiteSum", {c.in(0), c.in(1)}, std::move(attrs)));
  return true;
}

bool resize_levels(OperatorContext& c) {
  const auto& o = c.options<schema::ResizeBilinearOptions>();
  if (c.in_dtype(0) == DType::kUint8) return false;  // LiteRT interpolates these in floats
  c.set(0, c.b.op("_LiteResizeBilinear", {c.in(0), c.in(1)},
                  {{"align_corners", o.align_corners()},
                   {"half_pixel_centers", o.half_pixel_centers()}}));
  return true;
}

// What is put around is the level of 0.
bool pad_levels(OperatorContext& c) {
  const TensorLevels y = output_levels(c);
  c.set(0, c.b.op("PadV2", {c.in(0), c.in(1), c.b.scalar_of(c.in_dtype(0), y.zero_point)}));
  return true;
}

bool space_to_batch_levels(OperatorContext& c) {
  const PartialShape x = c.in_shape(0);
  const PartialShape block = c.in_shape(1);
  if (!x.has_rank() || !block.has_rank() || block.rank() != 1 || block[0] < 1) return false;
  const int64_t blocks = block[0], rest = x.rank() - 1 - blocks;
  if (rest < 0) return false;
  const auto zeros = [&](int64_t rows) {
    std::vector<int32_t> values(static_cast<size_t>(2 * rows), 0);
    return c.b.constant(Tensor::from<int32_t>(Shape{rows, 2}, values));
  };
  std::vector<Endpoint> parts = {zeros(1), c.in(2)};
  if (rest > 0) parts.push_back(zeros(rest));
  const Endpoint paddings = c.b.concat(std::move(parts), 0);
  const Endpoint level = c.b.scalar_of(c.in_dtype(0), output_levels(c).zero_point);
  const Endpoint padded = c.b.op("PadV2", {c.in(0), paddings, level});
  c.set(0, c.b.op("SpaceToBatchND", {padded, c.in(1), zeros(blocks)}));
  return true;
}

}  // namespace

TENON_LITE_QUANTIZED(AVERAGE_POOL_2D, average_pool_levels)
TENON_LITE_QUANTIZED(CONV_2D, conv_levels)
TENON_LITE_QUANTIZED(DEPTHWISE_CONV_2D, depthwise_levels)
TENON_LITE_QUANTIZED(FULLY_CONNECTED, connected_levels)
TENON_LITE_QUANTIZED(MAX_POOL_2D, max_pool_levels)
TENON_LITE_QUANTIZED(MEAN, sum_levels<true>)
TENON_LITE_QUANTIZED(PAD, pad_levels)
TENON_LITE_QUANTIZED(RESIZE_BILINEAR, resize_levels)
TENON_LITE_QUANTIZED(SOFTMAX, softmax_levels)
TENON_LITE_QUANTIZED(SPACE_TO_BATCH_ND, space_to_batch_levels)
TENON_LITE_QUANTIZED(SUM, sum_levels<false>)
TENON_LITE_QUANTIZED(TRANSPOSE_CONV, transpose_levels)

}  // namespace tenon::lite
