// Reals as TensorFlow Lite computes with them in integers: gemmlowp's fixed point arithmetic, with
// its two roundings (tensorflow/lite/kernels/internal/common.h, quantization_util.cc and
// gemmlowp/fixedpoint/fixedpoint.h define it).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tenon/base/wide_product.h"

namespace tenon::lite {

// value * 2^(shift - 31): `value` is 0 or has 31 bits.
struct Multiplier {
  int32_t value = 0;
  int shift = 0;
};

// The closest Multiplier of a factor of at least 0; 0 where it is below 2^-32 or not finite, the
// largest where it is above 2^31.
inline Multiplier make_multiplier(double factor) {
  if (!(factor > 0) || !std::isfinite(factor)) return {};
  Multiplier m;
  const double fraction = std::frexp(factor, &m.shift);
  auto value = static_cast<int64_t>(std::round(fraction * static_cast<double>(int64_t{1} << 31)));
  if (value == int64_t{1} << 31) {
    value /= 2;
    ++m.shift;
  }
  if (m.shift < -31) return {};
  if (m.shift > 30) return {std::numeric_limits<int32_t>::max(), 30};
  m.value = static_cast<int32_t>(value);
  return m;
}

// The higher half of 2ab, rounded to nearest, halves up.
inline int32_t doubling_high_product(int32_t a, int32_t b) {
  if (a == b && a == std::numeric_limits<int32_t>::min()) {
    return std::numeric_limits<int32_t>::max();
  }
  const int64_t product = int64_t{a} * b;
  const int64_t nudge = product >= 0 ? int64_t{1} << 30 : 1 - (int64_t{1} << 30);
  return static_cast<int32_t>((product + nudge) / (int64_t{1} << 31));
}

// x / 2^exponent, rounded to nearest, halves away from zero. exponent: 0 to 31.
inline int32_t rounding_shift(int32_t x, int exponent) {
  const auto mask = static_cast<int32_t>((int64_t{1} << exponent) - 1);
  const int32_t remainder = x & mask;
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

// x * 2^count, which wraps.
inline int32_t shift_left(int32_t x, int count) {
  return static_cast<int32_t>(static_cast<uint32_t>(x) << count);
}
inline int32_t wrapping_add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
inline int32_t wrapping_subtract(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
}

// x * m: TensorFlow Lite's MultiplyByQuantizedMultiplier.
inline int32_t scaled(int32_t x, Multiplier m) {
  const int left = std::max(m.shift, 0), right = std::max(-m.shift, 0);
  return rounding_shift(doubling_high_product(shift_left(x, left), m.value), right);
}

// Of sums in 64 bits (16-bit activations) the multiplier keeps 15 bits.
inline int32_t scaled(int64_t x, Multiplier m) {
  const int64_t reduced =
      m.value < 0x7FFF0000 ? (int64_t{m.value} + (1 << 15)) >> 16 : int64_t{0x7FFF};
  const int total = std::max(15 - m.shift, 1);
  const uint64_t product =
      static_cast<uint64_t>(x) * static_cast<uint64_t>(reduced) + (uint64_t{1} << (total - 1));
  return static_cast<int32_t>(static_cast<int64_t>(product) >> total);
}

// x * m rounded once, halves up: what LiteRT's matrix products by channel do.
inline int32_t scaled_once(int64_t x, Multiplier m) {
  return static_cast<int32_t>(static_cast<uint32_t>(rounded_product(x, m.value, 31 - m.shift)));
}

inline int32_t clamped(int32_t x, int32_t low, int32_t high) {
  return std::min(std::max(x, low), high);
}

// round(x) + zero_point within T, as TensorFlow Lite's quantisation of a float.
template <class T>
T quantized_level(float x, int32_t zero_point) {
  constexpr auto kLow = static_cast<float>(std::numeric_limits<T>::min());
  constexpr auto kHigh = static_cast<float>(std::numeric_limits<T>::max());
  // std::round without a call: halves away from zero.
  const float whole = std::trunc(x);
  const float rounded = std::abs(x - whole) >= 0.5F ? whole + std::copysign(1.0F, x) : whole;
  const float level = rounded + static_cast<float>(zero_point);
  const float above = level > kLow ? level : kLow;  // NaN is the lowest
  return static_cast<T>(static_cast<int32_t>(above < kHigh ? above : kHigh));
}

}  // namespace tenon::lite
