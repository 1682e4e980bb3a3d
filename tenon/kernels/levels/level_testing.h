// Integers of any width beside which levels are tested. Included by *_test.cc files only.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "tenon/core/dtype.h"

namespace tenon::kernels {

using Integer = __int128;

inline int64_t lowest_level(DType dtype) {
  return dtype == DType::kUint8 ? 0 : dtype == DType::kInt8 ? -128 : -32768;
}
inline int64_t highest_level(DType dtype) {
  return dtype == DType::kUint8 ? 255 : dtype == DType::kInt8 ? 127 : 32767;
}

inline int64_t wrapped_to_32(Integer x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }
inline Integer floor_divided(Integer x, Integer by) { return x / by - (x % by < 0 ? 1 : 0); }
inline Integer power_of_two(int exponent) { return static_cast<Integer>(1) << exponent; }

// x * multiplier * 2^(shift - 31) as gemmlowp has it: 32 bits shifted up, the doubled product's
// higher half rounded with halves up, shifted down with halves away from zero.
inline Integer scaled_twice(Integer x, int32_t multiplier, int shift) {
  const Integer raised = wrapped_to_32(x * power_of_two(std::max(shift, 0)));
  const Integer high = floor_divided(raised * multiplier + power_of_two(30), power_of_two(31));
  const Integer by = power_of_two(std::max(-shift, 0));
  const Integer magnitude = ((high < 0 ? -high : high) + by / 2) / by;
  return high < 0 ? -magnitude : magnitude;
}

// Numbers as they lie in memory, with a byte more.
inline std::vector<char> stored_levels(DType dtype, const std::vector<int64_t>& values) {
  const size_t size = size_of(dtype);
  std::vector<char> stored(values.size() * size + 1);
  for (size_t i = 0; i < values.size(); ++i) {
    std::memcpy(stored.data() + i * size, &values[i], size);  // little-endian
  }
  return stored;
}

}  // namespace tenon::kernels
