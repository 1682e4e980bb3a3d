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

}  // namespace

CastKernel find_cast(DType from, DType to, bool truncate) {
  if (truncate && from == DType::kFloat && to == DType::kBfloat16) return &truncate_to_bfloat16;
  if (truncate && from == DType::kFloat && to == DType::kHalf) return &truncate_to_float16;
  CastKernel kernel = nullptr;
  visit<CastTypes>(from, [&]<class From>() {
    visit<CastTypes>(to, [&]<class To>() { kernel = &cast_loop<To, From>; });
  });
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
