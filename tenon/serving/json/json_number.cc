#include "tenon/serving/json/json_number.h"

#include <fast_float/fast_float.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace tenon::serving {
namespace {

constexpr const char* kInvalidValue = "Invalid value.";
constexpr const char* kTooBig = "Number too big to be stored in double.";
constexpr const char* kMissFraction = "Miss fraction part in number.";
constexpr const char* kMissExponent = "Miss exponent in number.";

bool is_json_digit(char c) { return c >= '0' && c <= '9'; }

// Powers of ten that a double holds exactly: with a mantissa below 2^53 one multiplication or
// division is correctly rounded (Clinger, "How to read floating point numbers accurately", 1990).
constexpr double kExactPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int64_t kMaxExactPower = 22;
constexpr uint64_t kMaxExactMantissa = uint64_t{1} << 53;
constexpr int kMaxMantissaDigits = 19;  // 10^19 - 1 fits in 64 bits

double exact_scale(uint64_t mantissa, int64_t power) {
  const double value = static_cast<double>(mantissa);
  return power < 0 ? value / kExactPowers[-power] : value * kExactPowers[power];
}

// The number scanned so far: digits * 10^exponent, `digits` only while they fit.
struct Decimal {
  uint64_t mantissa = 0;
  int digits = 0;  // significant ones
  int64_t fraction_digits = 0;
  int64_t exponent = 0;
};

const char* read_digits(const char* p, const char* end, Decimal& decimal) {
  for (; p < end && is_json_digit(*p); ++p) {
    if (decimal.digits < kMaxMantissaDigits) {
      decimal.mantissa = decimal.mantissa * 10 + static_cast<uint64_t>(*p - '0');
    }
    decimal.digits += decimal.mantissa != 0;
  }
  return p;
}

// "NaN", "Inf" or "Infinity" at `p`, with RapidJSON's order of tries.
JsonNumberResult read_word(const char* p, const char* end, bool minus, JsonNode& node) {
  const auto take = [&](char c) { return p < end && *p == c ? (++p, true) : false; };
  node.kind = JsonKind::kDouble;
  if (take('N') && take('a') && take('N')) {
    node.d = std::numeric_limits<double>::quiet_NaN();
    return {p, nullptr};
  }
  if (!(take('I') && take('n') && take('f'))) return {p, kInvalidValue};
  node.d =
      minus ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  if (p < end && *p == 'i') {
    if (!(take('i') && take('n') && take('i') && take('t') && take('y'))) return {p, kInvalidValue};
  }
  return {p, nullptr};
}

double read_exactly(const char* begin, const char* end) {
  double value = 0;
  fast_float::from_chars(begin, end, value);
  return value;
}

// An integer literal [begin, end) of `decimal.digits` digits.
JsonNumberResult finish_integer(const char* begin, const char* end, bool minus,
                                const Decimal& decimal, JsonNode& node) {
  uint64_t value = decimal.mantissa;
  bool fits = decimal.digits <= kMaxMantissaDigits;
  if (!fits) fits = std::from_chars(begin, end, value).ec == std::errc();
  constexpr uint64_t kMinInt64 = uint64_t{1} << 63;
  if (fits && !minus) {
    node.kind = JsonKind::kUnsigned;
    node.u = value;
  } else if (fits && value <= kMinInt64) {
    node.kind = value == 0 ? JsonKind::kUnsigned : JsonKind::kNegative;
    node.i = static_cast<int64_t>(~value + 1);
  } else {
    const double magnitude = read_exactly(begin, end);
    node.kind = JsonKind::kDouble;
    node.d = minus ? -magnitude : magnitude;
  }
  return {end, nullptr};
}

// "e+5" at `p`. A positive exponent that no digits before it can bring into range is an error.
JsonNumberResult read_exponent(const char* p, const char* end, const char* start,
                               Decimal& decimal) {
  ++p;
  const bool minus = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) ++p;
  if (p >= end || !is_json_digit(*p)) return {p, kMissExponent};
  constexpr int64_t kFar = 100'000'000;
  const int64_t most = 308 + decimal.fraction_digits;
  int64_t exponent = 0;
  for (; p < end && is_json_digit(*p); ++p) {
    if (exponent < kFar) exponent = exponent * 10 + (*p - '0');
    if (!minus && exponent > most && exponent > 9) return {start, kTooBig};
  }
  decimal.exponent = minus ? -exponent : exponent;
  return {p, nullptr};
}

}  // namespace

JsonNumberResult read_json_number(const char* begin, const char* end, JsonNode& node) {
  const char* p = begin;
  const bool minus = p < end && *p == '-';
  if (minus) ++p;
  const char* digits = p;
  if (p >= end) return {p, kInvalidValue};
  Decimal decimal;
  if (*p == '0') {
    ++p;
  } else if (is_json_digit(*p)) {
    p = read_digits(p, end, decimal);
    // RapidJSON adds up the integer part in a double: it must fit by itself.
    if (p - digits > 308 && std::isinf(read_exactly(digits, p))) return {begin, kTooBig};
  } else if (*p == 'N' || *p == 'I') {
    return read_word(p, end, minus, node);
  } else {
    return {p, kInvalidValue};
  }
  const char next = p < end ? *p : '\0';
  if (next != '.' && next != 'e' && next != 'E') {
    return finish_integer(digits, p, minus, decimal, node);
  }
  if (next == '.') {
    const char* fraction = ++p;
    if (p >= end || !is_json_digit(*p)) return {p, kMissFraction};
    p = read_digits(p, end, decimal);
    decimal.fraction_digits = p - fraction;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    const JsonNumberResult exponent = read_exponent(p, end, begin, decimal);
    if (exponent.message) return exponent;
    p = exponent.end;
  }
  const int64_t power = decimal.exponent - decimal.fraction_digits;
  const bool exact = decimal.digits <= kMaxMantissaDigits &&
                     decimal.mantissa <= kMaxExactMantissa && power >= -kMaxExactPower &&
                     power <= kMaxExactPower;
  const double magnitude = exact ? exact_scale(decimal.mantissa, power) : read_exactly(digits, p);
  node.kind = JsonKind::kDouble;
  node.d = minus ? -magnitude : magnitude;
  return {p, nullptr};
}

}  // namespace tenon::serving
