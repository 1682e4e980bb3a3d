// Reals as TensorFlow Lite computes with them in integers: gemmlowp's fixed point arithmetic, with
// its two roundings (tensorflow/lite/kernels/internal/common.h, quantization_util.cc and
// gemmlowp/fixedpoint/fixedpoint.h define it).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

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
  const int total = 31 - m.shift;
  const __int128 product = static_cast<__int128>(x) * m.value;
  return static_cast<int32_t>(static_cast<uint32_t>(
      static_cast<uint64_t>((product + (static_cast<__int128>(1) << (total - 1))) >> total)));
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

// exp(x) of x <= 0 in Q5.26, as Q0.31: gemmlowp's exp_on_negative_values, which reduces the
// argument to [-1/4, 0), takes a polynomial around -1/8 there and multiplies by the powers of e.
inline int32_t exp_of_negative_q5(int32_t x) {
  constexpr int kFraction = 26;
  const int32_t quarter = 1 << (kFraction - 2);
  const int32_t masked = (x & (quarter - 1)) - quarter;  // in [-1/4, 0), Q5.26
  const int32_t a = shift_left(masked, 5);               // Q0.31
  const int32_t y = wrapping_add(a, 1 << 28);
  const int32_t y2 = doubling_high_product(y, y);
  const int32_t y3 = doubling_high_product(y2, y);
  const int32_t y4 = doubling_high_product(y2, y2);
  const int32_t fourth = rounding_shift(y4, 2);
  const int32_t poly = rounding_shift(
      wrapping_add(doubling_high_product(wrapping_add(fourth, y3), 715827883), y2), 1);
  int32_t result =
      wrapping_add(1895147668, doubling_high_product(1895147668, wrapping_add(y, poly)));
  const int32_t remainder = masked - x;
  constexpr struct {
    int exponent;
    int32_t factor;
  } kPowers[] = {{-2, 1672461947}, {-1, 1302514674}, {0, 790015084}, {1, 290630308},
                 {2, 39332535},    {3, 720401},      {4, 242}};
  for (const auto& power : kPowers) {
    if (remainder & (1 << (kFraction + power.exponent))) {
      result = doubling_high_product(result, power.factor);
    }
  }
  return x == 0 ? std::numeric_limits<int32_t>::max() : result;
}

// 1 / (1 + a) of a in [0, 1), Q0.31: three steps of Newton's method in Q2.29, as gemmlowp.
inline int32_t one_over_one_plus(int32_t a) {
  const int64_t sum = int64_t{a} + std::numeric_limits<int32_t>::max();
  const auto half = static_cast<int32_t>((sum + (sum >= 0 ? 1 : -1)) / 2);
  constexpr int32_t k48Over17 = 1515870810, kMinus32Over17 = -1010580540, kOne = 1 << 29;
  int32_t x = wrapping_add(k48Over17, doubling_high_product(half, kMinus32Over17));
  const auto times_four = [](int32_t v) {
    return static_cast<int32_t>(std::clamp<int64_t>(
        int64_t{v} * 4, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
  };
  for (int i = 0; i < 3; ++i) {
    const int32_t rest = kOne - doubling_high_product(half, x);
    x = wrapping_add(x, times_four(doubling_high_product(x, rest)));
  }
  return static_cast<int32_t>(std::clamp<int64_t>(
      int64_t{x} * 2, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}

}  // namespace tenon::lite
