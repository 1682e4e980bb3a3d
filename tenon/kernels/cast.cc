#include "tenon/kernels/cast.h"

#include <bit>
#include <cmath>
#include <complex>
#include <limits>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/scalar/elementwise_generic.h"

namespace tenon::kernels {
namespace {

using CastTypes =
    TypeList<bool, float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t,
             uint16_t, uint32_t, uint64_t, std::complex<float>, std::complex<double>>;

// What x86's conversion instructions give, without undefined behaviour: values that int64 cannot
// hold become its lowest value, then the low bits are kept; uint64 has its own upper half.
template <class To, class Real>
To integer_from(Real x) {
  if constexpr (std::is_same_v<To, uint64_t>) {
    if (x >= Real(0x1p63) && x < Real(0x1p64)) return static_cast<uint64_t>(x);
  }
  if constexpr (std::is_same_v<To, int32_t>) {
    const bool fits = x < Real(0x1p31) && static_cast<double>(x) > -2147483649.0;
    return fits ? static_cast<int32_t>(x) : std::numeric_limits<int32_t>::lowest();
  }
  const bool fits = x >= Real(-0x1p63) && x < Real(0x1p63);
  return static_cast<To>(fits ? static_cast<int64_t>(x) : std::numeric_limits<int64_t>::lowest());
}

template <class To, class From>
To convert(From x) {
  if constexpr (is_complex_v<From>) {
    if constexpr (is_complex_v<To>) {
      return To(static_cast<typename To::value_type>(x.real()),
                static_cast<typename To::value_type>(x.imag()));
    } else {
      return convert<To>(x.real());
    }
  } else if constexpr (std::is_same_v<Compute<From>, float> && !std::is_same_v<From, float>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From{};
  } else if constexpr (is_complex_v<To>) {
    return To(static_cast<typename To::value_type>(x));
  } else if constexpr (std::is_same_v<Compute<To>, float> && !std::is_same_v<To, float>) {
    return To(static_cast<float>(x));
  } else if constexpr (is_integer_v<To> && std::is_floating_point_v<From>) {
    return integer_from<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void cast_loop(const void* from, void* to, int64_t count) {
  const From* x = static_cast<const From*>(from);
  To* y = static_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) y[i] = convert<To>(x[i]);
}

void truncate_to_bfloat16(const void* from, void* to, int64_t count) {
  const float* x = static_cast<const float*>(from);
  bfloat16* y = static_cast<bfloat16*>(to);
  for (int64_t i = 0; i < count; ++i) {
    y[i] = std::isnan(x[i])
               ? bfloat16(x[i])
               : bfloat16::from_bits(static_cast<uint16_t>(std::bit_cast<uint32_t>(x[i]) >> 16));
  }
}

// Mantissa bits that float16 has no room for are dropped before the exact conversion.
void truncate_to_float16(const void* from, void* to, int64_t count) {
  const float* x = static_cast<const float*>(from);
  float16* y = static_cast<float16*>(to);
  for (int64_t i = 0; i < count; ++i) {
    const bool finite = std::isfinite(x[i]);
    y[i] =
        float16(finite ? std::bit_cast<float>(std::bit_cast<uint32_t>(x[i]) & 0xffffe000u) : x[i]);
  }
}

// The eight-bit floats of the OCP specification (OFP8, 2023), rounded to nearest even. What is too
// large is infinite where there are infinities, otherwise not a number.
template <DType format>
struct Float8 {
  static constexpr bool kHasInfinity = format == DType::kFloat8E5m2;
  static constexpr int kMantissaBits = kHasInfinity ? 2 : 3, kBias = kHasInfinity ? 15 : 7;
  static constexpr double kLargest = kHasInfinity ? 57344.0 : 448.0;
  static constexpr uint8_t kInfinity = 0x7c, kNan = kHasInfinity ? 0x7e : 0x7f;

  static float decode(uint8_t bits) {
    const int magnitude = bits & 0x7f, exponent = magnitude >> kMantissaBits;
    const int mantissa = magnitude & ((1 << kMantissaBits) - 1);
    const int whole = exponent == 0 ? mantissa : mantissa | (1 << kMantissaBits);
    float value =
        std::ldexp(static_cast<float>(whole), std::max(exponent, 1) - kBias - kMantissaBits);
    if (kHasInfinity ? magnitude > kInfinity : magnitude == kNan) {
      value = std::numeric_limits<float>::quiet_NaN();
    } else if (kHasInfinity && magnitude == kInfinity) {
      value = std::numeric_limits<float>::infinity();
    }
    return bits & 0x80 ? -value : value;
  }

  static uint8_t encode(double x) {
    const uint8_t sign = std::signbit(x) ? 0x80 : 0;
    if (std::isnan(x)) return sign | kNan;
    constexpr uint8_t kBeyond = kHasInfinity ? kInfinity : kNan;
    const double magnitude = std::abs(x);
    if (magnitude >= 2 * kLargest) return sign | kBeyond;
    const int exponent = magnitude == 0 ? 1 : std::max(std::ilogb(magnitude) + kBias, 1);
    // Numbers of one exponent follow one another; a mantissa that overflows is the next exponent.
    const double unit = std::ldexp(1.0, exponent - kBias - kMantissaBits);
    const auto steps = static_cast<int>(std::nearbyint(magnitude / unit));
    if (steps * unit > kLargest) return sign | kBeyond;
    return static_cast<uint8_t>(sign | (((exponent - 1) << kMantissaBits) + steps));
  }
};

template <DType format, class From>
void to_float8(const void* from, void* to, int64_t count) {
  const From* x = static_cast<const From*>(from);
  uint8_t* y = static_cast<uint8_t*>(to);
  for (int64_t i = 0; i < count; ++i) y[i] = Float8<format>::encode(convert<double>(x[i]));
}

template <DType format, class To>
void from_float8(const void* from, void* to, int64_t count) {
  const uint8_t* x = static_cast<const uint8_t*>(from);
  To* y = static_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) y[i] = convert<To>(Float8<format>::decode(x[i]));
}

template <DType format>
CastKernel find_float8_cast(DType from, DType to) {
  CastKernel kernel = nullptr;
  if (to == format) {
    visit<CastTypes>(from, [&]<class From>() { kernel = &to_float8<format, From>; });
  } else if (from == format) {
    visit<CastTypes>(to, [&]<class To>() { kernel = &from_float8<format, To>; });
  }
  return kernel;
}

}  // namespace

CastKernel find_cast(DType from, DType to, bool truncate) {
  if (truncate && from == DType::kFloat && to == DType::kBfloat16) return &truncate_to_bfloat16;
  if (truncate && from == DType::kFloat && to == DType::kHalf) return &truncate_to_float16;
  CastKernel kernel = nullptr;
  visit<CastTypes>(from, [&]<class From>() {
    visit<CastTypes>(to, [&]<class To>() { kernel = &cast_loop<To, From>; });
  });
  if (!kernel) kernel = find_float8_cast<DType::kFloat8E4m3fn>(from, to);
  if (!kernel) kernel = find_float8_cast<DType::kFloat8E5m2>(from, to);
  return kernel;
}

void run_cast(CastKernel kernel, size_t from_size, const void* x, size_t to_size, void* y,
              int64_t count) {
  parallel_for(count, grain_of(), [&](int64_t begin, int64_t end) {
    kernel(static_cast<const char*>(x) + begin * static_cast<int64_t>(from_size),
           static_cast<char*>(y) + begin * static_cast<int64_t>(to_size), end - begin);
  });
}

}  // namespace tenon::kernels
