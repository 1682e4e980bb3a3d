// Products of 96 bits, which processors of 32 bits have no type for.
#pragma once

#include <cstdint>

namespace tenon {

// (x * y + 2^(shift - 1)) >> shift of exact numbers, as the lowest 64 bits; `shift` is 1 to 94.
inline uint64_t rounded_product(int64_t x, int32_t y, int shift) {
  const int64_t low_product = static_cast<int64_t>(x & 0xffffffff) * y;
  int64_t high = (x >> 32) * y + (low_product >> 32);
  uint64_t low = static_cast<uint64_t>(low_product) & 0xffffffff;
  if (shift > 32) {
    high += int64_t{1} << (shift - 33);
    return static_cast<uint64_t>(high >> (shift - 32));
  }
  low += uint64_t{1} << (shift - 1);
  high += static_cast<int64_t>(low >> 32);
  return static_cast<uint64_t>(high) << (32 - shift) | (low & 0xffffffff) >> shift;
}

}  // namespace tenon
