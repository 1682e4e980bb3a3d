// float16 (IEEE binary16) and bfloat16: storage types with correctly rounded conversions
// (nearest, ties to even). Arithmetic is done in float and rounded on assignment.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace tenon {

struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  constexpr explicit bfloat16(float value) : bits(round(value)) {}
  static constexpr bfloat16 from_bits(uint16_t bits) {
    bfloat16 value{0.0f};
    value.bits = bits;
    return value;
  }
  constexpr operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }

 private:
  static constexpr uint16_t round(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    if ((word & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((word >> 16) | 0x40u);
    return static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
};

struct float16 {
  uint16_t bits = 0;

  float16() = default;
  constexpr explicit float16(float value) : bits(round(value)) {}
  static constexpr float16 from_bits(uint16_t bits) {
    float16 value{0.0f};
    value.bits = bits;
    return value;
  }
  constexpr operator float() const {
    const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu;
    const uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0)
      return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }

 private:
  static constexpr uint16_t round(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (word >> 16) & 0x8000u;
    const uint32_t magnitude = word & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {  // NaN: keep it quiet and the top payload bits
      return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    }
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // >= 65520
    if (magnitude < 0x38800000u) {  // below 2^-14: subnormal, a multiple of 2^-24
      if (magnitude < 0x33000000u) return static_cast<uint16_t>(sign);
      const uint32_t shift = 126 - (magnitude >> 23);
      const uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
      const uint32_t half = 1u << (shift - 1);
      const uint32_t kept = mantissa >> shift;
      const uint32_t rest = mantissa & ((1u << shift) - 1);
      return static_cast<uint16_t>(sign | (kept + (rest > half || (rest == half && (kept & 1u)))));
    }
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
  }
};

}  // namespace tenon

template <>
struct std::numeric_limits<tenon::bfloat16> : std::numeric_limits<float> {
  static constexpr tenon::bfloat16 lowest() { return tenon::bfloat16::from_bits(0xff7f); }
  static constexpr tenon::bfloat16 max() { return tenon::bfloat16::from_bits(0x7f7f); }
  static constexpr tenon::bfloat16 infinity() { return tenon::bfloat16::from_bits(0x7f80); }
};
template <>
struct std::numeric_limits<tenon::float16> : std::numeric_limits<float> {
  static constexpr tenon::float16 lowest() { return tenon::float16::from_bits(0xfbff); }
  static constexpr tenon::float16 max() { return tenon::float16::from_bits(0x7bff); }
  static constexpr tenon::float16 infinity() { return tenon::float16::from_bits(0x7c00); }
};
