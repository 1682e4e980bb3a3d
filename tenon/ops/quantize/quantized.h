// Numbers in the quantised types: T is the integer that holds one (qint8 is int8_t).
// Formulas: tensorflow/core/kernels/quantization_utils.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

// As visit(): calls `body.operator()<T>()` for the integer of a quantised dtype.
template <class Body>
bool visit_quantized(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::kQint8:
      return body.template operator()<int8_t>(), true;
    case DType::kQuint8:
      return body.template operator()<uint8_t>(), true;
    case DType::kQint16:
      return body.template operator()<int16_t>(), true;
    case DType::kQuint16:
      return body.template operator()<uint16_t>(), true;
    case DType::kQint32:
      return body.template operator()<int32_t>(), true;
    default:
      return false;
  }
}

template <class T>
inline constexpr double kLowestQuantized = static_cast<double>(std::numeric_limits<T>::lowest());
template <class T>
inline constexpr double kHighestQuantized = static_cast<double>(std::numeric_limits<T>::max());
template <class T>
inline constexpr double kQuantizedSteps = kHighestQuantized<T> - kLowestQuantized<T> + 1;

// `x` as an integer, kept within int64; a NaN is 0.
inline int64_t to_int64(double x) {
  if (std::isnan(x)) return 0;
  if (x >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (x < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(x);
}

template <class T>
int64_t float_to_quantized_unclamped(float x, float min, float max) {
  if (min == max) return static_cast<int64_t>(kLowestQuantized<T>);
  const double adjust = kQuantizedSteps<T> / (kQuantizedSteps<T> - 1);
  const double range = (static_cast<double>(max) - static_cast<double>(min)) * adjust;
  const double scale = kQuantizedSteps<T> / range;
  const double level =
      std::round(static_cast<double>(x) * scale) - std::round(static_cast<double>(min) * scale);
  return to_int64(level + kLowestQuantized<T>);
}

template <class T>
T float_to_quantized(float x, float min, float max) {
  const int64_t level = float_to_quantized_unclamped<T>(x, min, max);
  return static_cast<T>(std::clamp(level, static_cast<int64_t>(kLowestQuantized<T>),
                                   static_cast<int64_t>(kHighestQuantized<T>)));
}

template <class T>
float quantized_to_float(T x, float min, float max) {
  if (min == max) return min;
  const double adjust = kQuantizedSteps<T> / (kQuantizedSteps<T> - 1);
  const double range = (static_cast<double>(max) - static_cast<double>(min)) * adjust;
  const double scale = range / kQuantizedSteps<T>;
  const auto rounded_scale = static_cast<float>(scale);
  const double from = std::round(min / rounded_scale) * rounded_scale;
  return static_cast<float>(from + (static_cast<double>(x) - kLowestQuantized<T>)*scale);
}

// The same for many numbers, in float.
template <class T>
struct Dequantizer {
  float scale, least;
  Dequantizer(float min, float max)
      : scale(static_cast<float>((max - min) / (kQuantizedSteps<T> - 1))),
        least((scale == 0 ? min : std::round(min / scale) * scale) -
              static_cast<float>(kLowestQuantized<T>) * scale) {}
  float operator()(T x) const { return least + static_cast<float>(x) * scale; }
};
template <class T>
struct Quantizer {
  float scale, least;
  Quantizer(float min, float max)
      : scale(max == min ? 0.0F : static_cast<float>((kQuantizedSteps<T> - 1) / (max - min))),
        least(std::round(min * scale) - static_cast<float>(kLowestQuantized<T>)) {}
  T operator()(float x) const {
    const float level = std::round(x * scale) - least;
    const float low = std::max(static_cast<float>(kLowestQuantized<T>), -2.147483648e9F);
    const float high = std::min(static_cast<float>(kHighestQuantized<T>), 2.147483520e9F);
    return static_cast<T>(to_int64(static_cast<double>(std::min(std::max(level, low), high))));
  }
};

// The least and the largest real number that the product of two quantised ones may have.
struct QuantizedLimits {
  float min = 0, max = 0;
};
template <class A, class B, class C>
QuantizedLimits limits_of_product(float min_a, float max_a, float min_b, float max_b) {
  const auto level = [](float min, float max, double steps) {
    return static_cast<float>((max - min) / (steps - 1));
  };
  const float c = level(min_a, max_a, kQuantizedSteps<A>) * level(min_b, max_b, kQuantizedSteps<B>);
  return {c * static_cast<float>(kLowestQuantized<C>),
          c * static_cast<float>(kHighestQuantized<C>)};
}

// The number in the one element of input `index`.
inline float limit_at(const KernelRun& r, int index) { return *r.in<float>(index); }

// INVALID_ARGUMENT unless inputs [first, first + count) may have one element each. For ops of which
// TensorFlow takes vectors too.
inline Status expect_single_limits(const ShapeContext& c, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    const PartialShape& shape = c.input(i);
    if (shape.is_fully_known() && shape.num_elements() != 1) {
      return invalid_argument("input ", i, " must be a scalar, it has shape ", shape);
    }
  }
  return absl::OkStatus();
}

// INVALID_ARGUMENT unless inputs [first, first + count) may be scalars.
inline Status expect_limits(const ShapeContext& c, int first, int count) {
  for (int i = first; i < first + count; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  return absl::OkStatus();
}

}  // namespace tenon
