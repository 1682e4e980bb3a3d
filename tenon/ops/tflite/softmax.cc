// _LiteSoftmax: softmax of levels along the last axis. 8 bits: exponentials by a table in floats;
// 16 bits: by interpolated tables of exp on [-10, 0] and of 1/(1 + x) on [0, 1]
// (tensorflow/lite/kernels/internal/reference/softmax.h, common.h).
#include <bit>

#include "tenon/base/parallel.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

constexpr int kLutSize = 513;
using Lut = std::array<int16_t, kLutSize>;

// `f` at 513 points from `low` to `high`, in 1/32768, moved so that the middles between them are
// off by as much as they. In floats, as TensorFlow Lite's LUTPopulate.
template <class F>
Lut make_lut(const F& f, float low, float high) {
  Lut lut;
  const float step = (high - low) / (kLutSize - 1);
  const auto bounded = [](float value) {
    return static_cast<int16_t>(std::clamp(value, -32768.0F, 32767.0F));
  };
  for (int i = 0; i + 1 < kLutSize; ++i) {
    const float at = low + static_cast<float>(i) * step;
    const float sample = std::round(f(at) * 32768.0F);
    const float next = f(low + static_cast<float>(i + 1) * step) * 32768.0F;
    const float middle = std::round(f(at + step / 2) * 32768.0F);
    const float error = std::round((next + sample) / 2) - middle;
    lut[static_cast<size_t>(i)] = bounded(sample - std::round(error / 2));
  }
  lut.back() = bounded(std::round(f(high) * 32768.0F));
  return lut;
}

int16_t look_up(int32_t value, const Lut& lut) {
  const auto index = static_cast<size_t>(256 + (value >> 7));
  const int32_t base = lut[index], slope = lut[index + 1] - lut[index];
  return static_cast<int16_t>(base + ((slope * (value & 0x7f) + 64) >> 7));
}

Status lite_softmax_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  const float scale = c.attr<float>("scale");
  if (!std::isfinite(scale)) return invalid_argument("the scale is ", scale);
  const int64_t shift = c.attr<int64_t>("shift"), multiplier = c.attr<int64_t>("multiplier");
  if (shift < -31 || shift > 30 || multiplier < 0 || multiplier > INT32_MAX) {
    return invalid_argument("the factor ", multiplier, " * 2^(", shift, " - 31)");
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// `scale`: of the input times beta. The output's scale is `output_scale`.
template <class T>
void softmax_8(const T* x, int64_t depth, const float* table, float output_scale,
               int32_t output_zero, T* y) {
  const T most = *std::max_element(x, x + depth);
  float sum = 0;
  for (int64_t i = 0; i < depth; ++i) sum += table[most - x[i]];
  const float inverse = 1.0F / (sum * output_scale);
  for (int64_t i = 0; i < depth; ++i) {
    const float level = std::min(table[most - x[i]] * inverse + 0.5F, 65536.0F);
    y[i] =
        static_cast<T>(lite::clamped(static_cast<int32_t>(level) + output_zero,
                                     std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
}

template <class T>
Kernel softmax_8_kernel(const Prepare& p, int64_t rows, int64_t depth) {
  const float scale = p.attr<float>("scale"), output_scale = p.attr<float>("output_scale");
  const auto zero = static_cast<int32_t>(
      std::clamp<int64_t>(p.attr<int64_t>("output_zero_point"), -32768, 32767));
  std::array<float, 256> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = std::exp(-scale * static_cast<float>(i));
  return [=](KernelRun& r) {
    parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        softmax_8(r.in<T>(0) + row * depth, depth, table.data(), output_scale, zero,
                  r.out<T>(0) + row * depth);
      }
    });
    return absl::OkStatus();
  };
}

struct SoftmaxTables {
  Lut exp = make_lut([](float x) { return std::exp(x); }, -10.0F, 0.0F);
  Lut reciprocal = make_lut([](float x) { return 1.0F / (1.0F + x); }, 0.0F, 1.0F);
};

void softmax_16(const int16_t* x, int64_t depth, lite::Multiplier m, const SoftmaxTables& tables,
                int16_t* y) {
  const int32_t most = *std::max_element(x, x + depth);
  uint32_t sum = 0;  // Q16.15
  for (int64_t i = 0; i < depth; ++i) {
    const int32_t difference = lite::scaled(int32_t{x[i]} - most, m);
    const int32_t place = lite::clamped(lite::wrapping_add(difference, 32767), -32768, 32767);
    y[i] = look_up(place, tables.exp);
    sum += static_cast<uint32_t>(y[i]);
  }
  const int headroom = std::max(std::countl_zero(sum), 1);
  const auto shifted =
      static_cast<int32_t>(((static_cast<int64_t>(sum) << (headroom - 1)) + (1 << 13)) >> 14);
  const int32_t place = lite::clamped(shifted - ((1 << 15) + (1 << 16)), -32768, 32767);
  const int64_t reciprocal = look_up(place, tables.reciprocal);
  const int right = std::max(31 - headroom, 1);
  for (int64_t i = 0; i < depth; ++i) {
    const int64_t value = (int64_t{y[i]} * reciprocal + (int64_t{1} << (right - 1))) >> right;
    y[i] = static_cast<int16_t>(std::clamp<int64_t>(value, 0, 32767));
  }
}

StatusOr<Kernel> make_lite_softmax(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const int64_t depth = x[x.rank() - 1], rows = x.product(0, x.rank() - 1);
  if (depth == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  if (p.input_dtype(0) == DType::kInt8) return softmax_8_kernel<int8_t>(p, rows, depth);
  if (p.input_dtype(0) == DType::kUint8) return softmax_8_kernel<uint8_t>(p, rows, depth);
  const lite::Multiplier m{static_cast<int32_t>(p.attr<int64_t>("multiplier")),
                           static_cast<int>(p.attr<int64_t>("shift"))};
  return Kernel([=, tables = std::make_shared<const SoftmaxTables>()](KernelRun& r) {
    parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        softmax_16(r.in<int16_t>(0) + row * depth, depth, m, *tables,
                   r.out<int16_t>(0) + row * depth);
      }
    });
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(_LiteSoftmax) = {
    .inputs = "x: T",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS
             "; scale: float; output_scale: float; output_zero_point: int; multiplier: int = 0; "
             "shift: int = 0",
    .shape = lite_softmax_shape,
    .rows = Rows::kIndependentUnlessRank1,
    .gradient = not_differentiable,
    .kernels = {make_lite_softmax},
};

}  // namespace tenon
