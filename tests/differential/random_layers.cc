#include <cmath>

#include "tests/differential/random_steps.h"

namespace tenon::differential {
namespace {

// One dimension of a convolution's or pool's output.
int64_t windows(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, bool same) {
  if (same) return (size + stride - 1) / stride;
  return (size - (kernel - 1) * dilation - 1 + stride) / stride;
}

bool has_channels(const Value& value) { return value.is_float(4) && value.dims[3] <= 64; }

}  // namespace

// What follows a product: bias, residual and activation, in the ways that models write them.
Value& GraphMaker::finish_layer(Value& sums, int64_t channels) {
  Value* y = &sums;
  if (dice_.chance(0.7)) {
    if (dice_.chance(0.5)) {
      const Endpoint bias = use(parameter({channels}, 1));
      y = &keep(build_.op("BiasAdd", {use(*y), bias}), y->dtype, y->dims, y->bound + 1, false);
    } else {
      ValueDims dims = {dice_.chance(0.2) ? 1 : channels};
      while (dims.size() < y->dims.size() && dice_.chance(0.3)) dims.insert(dims.begin(), 1);
      y = operate("AddV2", *y, parameter(dims, 1), y->bound + 1);
    }
  }
  if (dice_.chance(0.4)) {
    Value& other = partner(*y);
    Value* const sum = dice_.chance(0.5) ? operate("AddV2", *y, other, y->bound + other.bound)
                                         : operate("AddV2", other, *y, y->bound + other.bound);
    if (sum) y = sum;
  }
  if (dice_.chance(0.6)) {
    static constexpr const char* kActivations[] = {"Relu", "Relu6", "Tanh",     "Sigmoid",
                                                   "Elu",  "Selu",  "LeakyRelu"};
    const char* const op = kActivations[dice_.below(7)];
    y = &keep(build_.op(op, {use(*y)}), y->dtype, y->dims, 1.8 * std::max(y->bound, 1.0), false);
  }
  return *y;
}

bool GraphMaker::dense() {
  Value* const picked = pick_float(2);
  if (!picked) return false;
  Value& x = tamed(*picked);
  const int64_t k = x.dims[1];
  const int64_t n = dice_.one_of<int64_t>({1, 2, 3, 5, 8, 16, 17, 32, 40, 65});
  const bool transposed = dice_.chance(0.25);
  const double scale = 1 / std::sqrt(static_cast<double>(k));
  Value& weights = parameter(transposed ? ValueDims{n, k} : ValueDims{k, n}, scale);
  const Endpoint product = build_.matmul(use(x), use(weights), false, transposed);
  const double bound = x.bound * std::sqrt(static_cast<double>(k));
  finish_layer(keep(product, x.dtype, {x.dims[0], n}, bound, false), n);
  return true;
}

// Attention's two products, and rank 3 by a matrix.
bool GraphMaker::batch_product() {
  Value* const picked = pick_float(3);
  if (!picked) return false;
  Value& x = tamed(*picked);
  const double k = static_cast<double>(x.dims[2]);
  if (dice_.chance(0.5)) {
    const int64_t n = dice_.between(1, 20);
    const bool adjoint = dice_.chance(0.3);
    Value& weights =
        parameter(adjoint ? ValueDims{n, x.dims[2]} : ValueDims{x.dims[2], n}, 1 / std::sqrt(k));
    const Endpoint product =
        build_.op("BatchMatMulV2", {use(x), use(weights)}, {{"adj_y", adjoint}});
    finish_layer(keep(product, x.dtype, {x.dims[0], x.dims[1], n}, x.bound * std::sqrt(k), false),
                 n);
    return true;
  }
  Value* const y = pick([&](const Value& v) {
    return v.is_float(3) && v.bound <= 20 && v.dims[2] == x.dims[2] && v.dims[0] == x.dims[0];
  });
  const Endpoint scores =
      build_.mul(build_.op("BatchMatMulV2", {use(x), use(y ? *y : x)}, {{"adj_y", true}}),
                 build_.scalar<float>(static_cast<float>(1 / std::sqrt(k))));
  const int64_t columns = (y ? *y : x).dims[1];
  keep(build_.op("Softmax", {scores}), x.dtype, {x.dims[0], x.dims[1], columns}, 1, false);
  return true;
}

bool GraphMaker::convolution() {
  Value* const picked = pick(has_channels);
  if (!picked) return false;
  Value& x = tamed(*picked);
  const int64_t side = dice_.one_of<int64_t>({1, 1, 3, 3, 3, 5, 2});
  const int64_t stride = dice_.chance(0.3) ? 2 : 1;
  const bool depthwise = dice_.chance(0.25);
  const int64_t dilation = !depthwise && stride == 1 && dice_.chance(0.15) ? 2 : 1;
  const bool same = dice_.chance(0.6);
  const int64_t rows = windows(x.dims[1], side, stride, dilation, same);
  const int64_t columns = windows(x.dims[2], side, stride, dilation, same);
  if (rows < 1 || columns < 1) return false;
  const int64_t in = x.dims[3];
  const int64_t out =
      depthwise ? dice_.between(1, 2) : dice_.one_of<int64_t>({1, 3, 4, 8, 16, 24, 33});
  const double terms = static_cast<double>(side * side * (depthwise ? 1 : in));
  Value& filter = parameter({side, side, in, out}, 1 / std::sqrt(terms));
  AttrMap attrs = {{"strides", std::vector<int64_t>{1, stride, stride, 1}},
                   {"padding", std::string(same ? "SAME" : "VALID")},
                   {"dilations", std::vector<int64_t>{1, dilation, dilation, 1}}};
  const Endpoint sums =
      build_.op(depthwise ? "DepthwiseConv2dNative" : "Conv2D", {use(x), use(filter)}, attrs);
  const int64_t channels = depthwise ? in * out : out;
  Value& y =
      keep(sums, x.dtype, {x.dims[0], rows, columns, channels}, x.bound * std::sqrt(terms), false);
  if (dice_.chance(0.3)) return true;
  finish_layer(y, channels);
  return true;
}

bool GraphMaker::pool() {
  Value* const x = pick(has_channels);
  if (!x) return false;
  const int64_t side = dice_.between(1, 3), stride = dice_.between(1, 2);
  const bool same = dice_.chance(0.5);
  const int64_t rows = windows(x->dims[1], side, stride, 1, same);
  const int64_t columns = windows(x->dims[2], side, stride, 1, same);
  if (rows < 1 || columns < 1) return false;
  keep(build_.op(dice_.chance(0.5) ? "MaxPool" : "AvgPool", {use(*x)},
                 {{"ksize", std::vector<int64_t>{1, side, side, 1}},
                  {"strides", std::vector<int64_t>{1, stride, stride, 1}},
                  {"padding", std::string(same ? "SAME" : "VALID")}}),
       x->dtype, {x->dims[0], rows, columns, x->dims[3]}, x->bound, false);
  return true;
}

bool GraphMaker::batch_norm() {
  Value* const picked = pick(has_channels);
  if (!picked) return false;
  Value& x = tamed(*picked);
  const int64_t channels = x.dims[3];
  const auto own = [&](double low, double high) {
    Tensor values = random_floats(dice_, Shape{channels}, (high - low) / 2);
    for (int64_t i = 0; i < channels; ++i) {
      values.mutable_data<float>()[i] += static_cast<float>((low + high) / 2);
    }
    return build_.constant(values);
  };
  const Endpoint scale = own(0.5, 1.5), offset = own(-1, 1), mean = own(-1, 1),
                 variance = own(0.3, 2);
  Endpoint out;
  if (dice_.chance(0.6)) {
    out = build_.op("FusedBatchNormV3", {use(x), scale, offset, mean, variance},
                    {{"is_training", false}, {"epsilon", 0.001f}});
  } else {
    // As Keras writes it: x * (scale * rsqrt(variance + epsilon)) + (offset - mean * ...).
    const Endpoint factor =
        build_.mul(scale, build_.op("Rsqrt", {build_.add(variance, build_.scalar<float>(0.001f))}));
    out = build_.add(build_.mul(use(x), factor), build_.sub(offset, build_.mul(mean, factor)));
  }
  Value& y = keep(out, x.dtype, x.dims, 3 * (x.bound + 1) + 1, false);
  if (dice_.chance(0.5)) keep(build_.op("Relu", {use(y)}), y.dtype, y.dims, y.bound, false);
  return true;
}

bool GraphMaker::layer_norm() {
  Value* const picked = pick([](const Value& v) {
    return v.dtype == DType::kFloat && v.dims.size() >= 2 && v.dims.back() > 1;
  });
  if (!picked) return false;
  Value& x = tamed(*picked);
  const Endpoint in = use(x);
  const int64_t last[] = {-1};
  const Endpoint mean = build_.mean(in, last, true);
  const Endpoint variance = build_.mean(build_.op("SquaredDifference", {in, mean}), last, true);
  // A large epsilon: two rows of equal values would make the answer a matter of rounding.
  const Endpoint factor = build_.op("Rsqrt", {build_.add(variance, build_.scalar<float>(0.1f))});
  Value& y = keep(build_.mul(build_.sub(in, mean), factor), x.dtype, x.dims, 8, false);
  return operate("AddV2", *operate("Mul", y, parameter({x.dims.back()}, 1), 8),
                 parameter({x.dims.back()}, 1), 9) != nullptr;
}

bool GraphMaker::softmax() {
  Value* const picked =
      pick([](const Value& v) { return v.dtype == DType::kFloat && v.dims.size() >= 2; });
  if (!picked) return false;
  Value& x = tamed(*picked);
  const bool log = dice_.chance(0.3);
  keep(build_.op(log ? "LogSoftmax" : "Softmax", {use(x)}), x.dtype, x.dims,
       log ? 2 * x.bound + 6 : 1, false);
  return true;
}

bool GraphMaker::reduce() {
  Value* const x = pick(
      [](const Value& v) { return v.dtype == DType::kFloat && !v.dims.empty() && v.bound <= 20; });
  if (!x) return false;
  const bool keep_dims = dice_.chance(0.4);
  const bool over_batch = dice_.chance(0.15);
  std::vector<int64_t> axes;
  ValueDims dims;
  double count = 1;
  for (size_t axis = 0; axis < x->dims.size(); ++axis) {
    const bool batch = x->dims[axis] == kBatch;
    if (batch ? !over_batch : dice_.chance(0.5)) {
      dims.push_back(x->dims[axis]);
      continue;
    }
    const int64_t written = static_cast<int64_t>(axis);
    axes.push_back(dice_.chance(0.5) ? written : written - static_cast<int64_t>(x->dims.size()));
    count *= static_cast<double>(batch ? 50 : x->dims[axis]);
    if (keep_dims) dims.push_back(1);
  }
  static constexpr const char* kOps[] = {"Sum", "Mean", "Max", "Min", "Prod"};
  const int64_t kind = dice_.below(x->bound <= 1 ? 5 : 4);
  keep(build_.op(kOps[kind], {use(*x), build_.integers(axes)}, {{"keep_dims", keep_dims}}),
       x->dtype, dims, kind == 0 ? x->bound * count : x->bound, false);
  return true;
}

}  // namespace tenon::differential
