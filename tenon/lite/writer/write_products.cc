// Products, convolutions, pooling and resizing. TensorFlow Lite's filters are [out, rows, columns,
// in]; TensorFlow's [rows, columns, in, out].
#include "tenon/lite/writer/einsum.h"
#include "tenon/lite/writer/node_context.h"

namespace tenon::lite {
namespace {

using Ints = std::vector<int64_t>;

bool channels_last(NodeContext& c, const char* expected = "NHWC") {
  const std::string format = c.attr<std::string>("data_format", expected);
  if (format == expected) return true;
  c.fail(unimplemented("with data_format ", format, "; TensorFlow Lite has channels last"));
  return false;
}

// Rows and columns of an attribute that counts all four axes.
std::pair<int, int> rows_columns(NodeContext& c, std::string_view name) {
  const Ints values = c.attr<Ints>(name, {1, 1, 1, 1});
  if (values.size() != 4 || values[0] != 1 || values[3] != 1) {
    c.fail(unimplemented("whose ", name, " reach beyond rows and columns"));
    return {1, 1};
  }
  return {static_cast<int>(values[1]), static_cast<int>(values[2])};
}

// What a fused op computes after its product. `product` gets the tensor to write to.
void with_following(NodeContext& c, FunctionRef<void(int result)> product) {
  std::vector<std::string> following =
      c.attr<std::vector<std::string>>("fused_ops", std::vector<std::string>());
  if (!following.empty()) following.erase(following.begin());  // BiasAdd
  const auto temporary = [&] { return c.temporary(c.out_dtype(), c.out_shape()); };
  int value = following.empty() ? c.out() : temporary();
  product(value);
  for (size_t i = 0; i < following.size(); ++i) {
    const std::string& name = following[i];
    const int result = i + 1 == following.size() ? c.out() : temporary();
    if (name == "Add") {
      c.emit(op::ADD, {value, c.in(3)}, {result}, schema::AddOptionsT());
    } else if (name == "Swish") {
      const int gate = c.chain(op::LOGISTIC, {value}, c.out_shape(), c.out_dtype());
      c.emit(op::MUL, {value, gate}, {result}, schema::MulOptionsT());
    } else if (name.starts_with("Gelu")) {
      schema::GeluOptionsT options;
      options.approximate = name == "GeluApproximate";
      c.emit(op::GELU, {value}, {result}, options);
    } else if (name == "LeakyRelu") {
      schema::LeakyReluOptionsT options;
      options.alpha = c.attr<float>("leakyrelu_alpha", 0.2F);
      c.emit(op::LEAKY_RELU, {value}, {result}, options);
    } else {
      constexpr std::pair<std::string_view, int> kPlain[] = {{"Relu", op::RELU},
                                                             {"Relu6", op::RELU6},
                                                             {"Elu", op::ELU},
                                                             {"Tanh", op::TANH},
                                                             {"Sigmoid", op::LOGISTIC}};
      const auto* it = std::find_if(std::begin(kPlain), std::end(kPlain),
                                    [&](const auto& row) { return row.first == name; });
      if (it == std::end(kPlain)) return c.fail(unimplemented("followed by ", name));
      c.emit(it->second, {value}, {result});
    }
    value = result;
  }
}

// The bias of a fused op; zeros for one without.
int bias_of(NodeContext& c, int64_t channels) {
  return c.num_inputs() > 2 ? c.in(2) : c.no_bias(channels);
}

// The image, padded where the attributes say how much; `padding` is Padding.
int padded_image(NodeContext& c, int8_t& padding) {
  const std::string kind = c.attr<std::string>("padding", "VALID");
  padding = padding_number(kind);
  if (kind != "EXPLICIT") return c.in(0);
  const Ints pads = c.attr<Ints>("explicit_paddings", {});
  std::vector<int32_t> table(pads.begin(), pads.end());
  if (table.size() != 8) {
    c.fail(unimplemented("with paddings ", join(pads, ",")));
    return c.in(0);
  }
  PartialShape shape = c.in_shape(0);
  for (int axis = 0; shape.has_rank() && axis < 4; ++axis) {
    const auto at = static_cast<size_t>(2 * axis);
    if (shape[axis] >= 0) shape.set(axis, shape[axis] + pads[at] + pads[at + 1]);
  }
  const int paddings = c.constant_tensor(Tensor::from<int32_t>(Shape{4, 2}, table));
  return c.chain(op::PAD, {c.in(0), paddings}, shape, c.in_dtype(0));
}

bool known_filter(NodeContext& c, int i, int rank) {
  const PartialShape& shape = c.in_shape(i);
  if (shape.has_rank() && shape.rank() == rank && shape.is_fully_known()) return true;
  c.fail(unimplemented("with a filter of shape ", shape));
  return false;
}

void write_conv_2d(NodeContext& c) {
  if (!channels_last(c) || !known_filter(c, 1, 4)) return;
  schema::Conv2DOptionsT options;
  std::tie(options.stride_h, options.stride_w) = rows_columns(c, "strides");
  std::tie(options.dilation_hfactor, options.dilation_wfactor) = rows_columns(c, "dilations");
  const int image = padded_image(c, options.padding);
  const int order[] = {3, 0, 1, 2};
  const int filter = c.transposed(1, order), bias = bias_of(c, c.in_shape(1)[3]);
  with_following(c, [&](int result) {
    c.emit(op::CONV_2D, {image, filter, bias}, {result}, options);
  });
}

void write_depthwise(NodeContext& c) {
  if (!channels_last(c) || !known_filter(c, 1, 4)) return;
  const PartialShape shape = c.in_shape(1);
  schema::DepthwiseConv2DOptionsT options;
  std::tie(options.stride_h, options.stride_w) = rows_columns(c, "strides");
  std::tie(options.dilation_hfactor, options.dilation_wfactor) = rows_columns(c, "dilations");
  options.depth_multiplier = static_cast<int32_t>(shape[3]);
  const int image = padded_image(c, options.padding);
  const int64_t channels = shape[2] * shape[3];
  const Shape flat{1, shape[0], shape[1], channels};
  const Tensor* constant = c.constant(1);
  const int filter =
      constant ? c.constant_tensor(constant->reshaped(flat))
               : c.chain(op::RESHAPE, {c.in(1), c.ints(flat.dims())}, flat, DType::kFloat);
  const int bias = bias_of(c, channels);
  with_following(c, [&](int result) {
    c.emit(op::DEPTHWISE_CONV_2D, {image, filter, bias}, {result}, options);
  });
}

void write_transpose_conv(NodeContext& c) {
  if (!channels_last(c) || !known_filter(c, 1, 4)) return;
  const std::string padding = c.attr<std::string>("padding", "VALID");
  if (padding == "EXPLICIT" || rows_columns(c, "dilations") != std::pair(1, 1)) {
    return c.fail(unimplemented("with dilations or explicit padding"));
  }
  schema::TransposeConvOptionsT options;
  options.padding = padding_number(padding);
  std::tie(options.stride_h, options.stride_w) = rows_columns(c, "strides");
  // TensorFlow's filter is [rows, columns, out, in] here.
  const int order[] = {2, 0, 1, 3};
  c.emit(op::TRANSPOSE_CONV, {c.in_int32(0), c.transposed(1, order), c.in(2)}, {c.out()}, options);
}

void write_conv_3d(NodeContext& c) {
  if (!channels_last(c, "NDHWC")) return;
  const Ints strides = c.attr<Ints>("strides", {1, 1, 1, 1, 1});
  const Ints dilations = c.attr<Ints>("dilations", {1, 1, 1, 1, 1});
  schema::Conv3DOptionsT options;
  options.padding = padding_number(c.attr<std::string>("padding", "VALID"));
  options.stride_d = static_cast<int32_t>(strides[1]);
  options.stride_h = static_cast<int32_t>(strides[2]);
  options.stride_w = static_cast<int32_t>(strides[3]);
  options.dilation_dfactor = static_cast<int32_t>(dilations[1]);
  options.dilation_hfactor = static_cast<int32_t>(dilations[2]);
  options.dilation_wfactor = static_cast<int32_t>(dilations[3]);
  c.emit(op::CONV_3D, {c.in(0), c.in(1)}, {c.out()}, options);
}

// By weights [n, k], which are known: a layer. Else a product of two activations.
void write_matmul(NodeContext& c) {
  const bool transpose_a = c.attr<bool>("transpose_a", false);
  const bool transpose_b = c.attr<bool>("transpose_b", false);
  if (!c.constant(1) || c.in_dtype(0) != DType::kFloat) {
    if (c.num_inputs() > 2) return c.fail(unimplemented("with weights that are not constant"));
    schema::BatchMatMulOptionsT options;
    options.adj_x = transpose_a;
    options.adj_y = transpose_b;
    return c.emit(op::BATCH_MATMUL, {c.in(0), c.in(1)}, {c.out()}, options);
  }
  const int turned[] = {1, 0};
  const int rows = transpose_a ? c.transposed(0, turned) : c.in(0);
  const int weights = transpose_b ? c.in(1) : c.transposed(1, turned);
  const int bias = bias_of(c, c.in_shape(1)[transpose_b ? 0 : 1]);
  with_following(c, [&](int result) {
    c.emit(op::FULLY_CONNECTED, {rows, weights, bias}, {result}, schema::FullyConnectedOptionsT());
  });
}

void write_batch_matmul(NodeContext& c) {
  const bool adj_x = c.attr<bool>("adj_x", false), adj_y = c.attr<bool>("adj_y", false);
  if (c.constant(1) && c.in_shape(1).rank() == 2 && !adj_x && c.in_dtype(0) == DType::kFloat) {
    const int turned[] = {1, 0};
    schema::FullyConnectedOptionsT options;
    options.keep_num_dims = true;
    const int weights = adj_y ? c.in(1) : c.transposed(1, turned);
    const int bias = bias_of(c, c.in_shape(1)[adj_y ? 0 : 1]);
    return c.emit(op::FULLY_CONNECTED, {c.in(0), weights, bias}, {c.out()}, options);
  }
  schema::BatchMatMulOptionsT options;
  options.adj_x = adj_x;
  options.adj_y = adj_y;
  c.emit(op::BATCH_MATMUL, {c.in(0), c.in(1)}, {c.out()}, options);
}

template <int builtin>
void write_pool(NodeContext& c) {
  if (!channels_last(c)) return;
  schema::Pool2DOptionsT options;
  const std::string padding = c.attr<std::string>("padding", "VALID");
  if (padding == "EXPLICIT") return c.fail(unimplemented("with explicit padding"));
  options.padding = padding_number(padding);
  std::tie(options.stride_h, options.stride_w) = rows_columns(c, "strides");
  std::tie(options.filter_height, options.filter_width) = rows_columns(c, "ksize");
  c.emit(builtin, {c.in(0)}, {c.out()}, options);
}

template <int builtin, class Options>
void write_resize(NodeContext& c) {
  Options options;
  options.align_corners = c.attr<bool>("align_corners", false);
  options.half_pixel_centers = c.attr<bool>("half_pixel_centers", false);
  c.emit(builtin, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

constexpr NodeWriter kProductWriters[] = {
    {"AvgPool", write_pool<op::AVERAGE_POOL_2D>},
    {"BatchMatMul", write_batch_matmul},
    {"BatchMatMulV2", write_batch_matmul},
    {"BatchMatMulV3", write_batch_matmul},
    {"Conv2D", write_conv_2d},
    {"Conv2DBackpropInput", write_transpose_conv},
    {"Conv3D", write_conv_3d},
    {"DepthwiseConv2dNative", write_depthwise},
    {"Einsum", write_einsum},
    {"MatMul", write_matmul},
    {"MaxPool", write_pool<op::MAX_POOL_2D>},
    {"ResizeBilinear", write_resize<op::RESIZE_BILINEAR, schema::ResizeBilinearOptionsT>},
    {"ResizeNearestNeighbor",
     write_resize<op::RESIZE_NEAREST_NEIGHBOR, schema::ResizeNearestNeighborOptionsT>},
    {"_FusedConv2D", write_conv_2d},
    {"_FusedDepthwiseConv2dNative", write_depthwise},
    {"_FusedMatMul", write_matmul},
};

}  // namespace

std::span<const NodeWriter> product_writers() { return kProductWriters; }

}  // namespace tenon::lite
