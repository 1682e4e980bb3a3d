// _LiteRoundRows: floats as LiteRT's hybrid kernels see them. Before it multiplies floats by
// weights of 8 bits, it rounds each row to 8 bits with a scale of its own
// (tensorflow/lite/kernels/internal/reference/portable_tensor_utils.cc); here the row is floats
// again, which then meet dequantised weights: the same products, added in floats.
#include "tenon/ops/tflite/row_levels.h"

#include "tenon/base/parallel.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

Status round_rows_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const int64_t axis = c.attr<int64_t>("axis");
  if (axis < 0 || (x.has_rank() && axis > x.rank())) {
    return invalid_argument("rows of axis ", axis, " in ", x);
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

void round_symmetric(const float* x, int64_t count, float* y) {
  const auto [low, high] = std::minmax_element(x, x + count);
  const float range = std::max(std::abs(*low), std::abs(*high));
  if (!(range > 0) || !std::isfinite(range)) return void(std::copy_n(x, count, y));
  const float scale = range / 127, inverse = 127.0F / range;
  for (int64_t i = 0; i < count; ++i) {
    y[i] = std::clamp(std::round(x[i] * inverse), -127.0F, 127.0F) * scale;
  }
}

void round_asymmetric(const float* x, int64_t count, float* y) {
  const auto [least, most] = std::minmax_element(x, x + count);
  const double low = std::min(0.0, double{*least}), high = std::max(0.0, double{*most});
  if (!(low < high) || !std::isfinite(high - low)) return void(std::copy_n(x, count, y));
  const double scale = (high - low) / 255.0;
  const double from_low = -128.0 - low / scale, from_high = 127.0 - high / scale;
  const double error_low = 128.0 + std::abs(low / scale);
  const double error_high = 127.0 + std::abs(high / scale);
  const double exact = error_low < error_high ? from_low : from_high;
  const auto zero = static_cast<float>(std::clamp(std::round(exact), -128.0, 127.0));
  const auto factor = static_cast<float>(scale);
  const float inverse = 1.0F / factor;
  for (int64_t i = 0; i < count; ++i) {
    const float level = std::clamp(std::round(zero + x[i] * inverse), -128.0F, 127.0F);
    y[i] = (level - zero) * factor;
  }
}

}  // namespace

void lite::round_row(const float* x, int64_t count, bool asymmetric, float* y) {
  asymmetric ? round_asymmetric(x, count, y) : round_symmetric(x, count, y);
}

namespace {

StatusOr<Kernel> make_round_rows(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const auto axis = static_cast<int>(p.attr<int64_t>("axis"));
  const int64_t count = x.product(axis, x.rank());
  const int64_t rows = x.num_elements() == 0 ? 0 : x.product(0, axis);
  const bool asymmetric = p.attr<bool>("asymmetric");
  return [=](KernelRun& r) {
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* from = r.in<float>(0) + row * count;
        float* to = r.out<float>(0) + row * count;
        lite::round_row(from, count, asymmetric, to);
      }
    });
    return absl::OkStatus();
  };
}

}  // namespace

TENON_OP(_LiteRoundRows) = {
    .inputs = "x: float",
    .outputs = "y: float",
    .attrs = "axis: int; asymmetric: bool",
    .shape = round_rows_shape,
    .gradient = not_differentiable,
    .kernels = {make_round_rows},
};

}  // namespace tenon
