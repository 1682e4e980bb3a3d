#include <fast_float/fast_float.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "tenon/serving/json/json_number.h"

namespace tenon::serving {
namespace {

// printf's "%.Pg" by the standard library: right for every value, and slow.
template <class T>
char* print_general(char* begin, char* limit, T value, int precision) {
  return std::to_chars(begin, limit, value, std::chars_format::general, precision).ptr;
}

template <class T>
void append_by_trial(std::string& out, T value) {
  char text[40];
  char* const limit = text + sizeof(text);
  char* end = print_general(text, limit, value, 6);
  T back = 0;
  fast_float::from_chars(text, end, back);
  if (back != value) end = print_general(text, limit, value, std::numeric_limits<T>::max_digits10);
  const std::string_view digits(text, static_cast<size_t>(end - text));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

template <class T>
bool append_special(std::string& out, T value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else if (value == 0) {
    out += std::signbit(value) ? "-0.0" : "0.0";
  } else {
    return false;
  }
  return true;
}

// `digits` (a number of `precision` decimal digits) times 10^(exponent - precision + 1), laid out
// as "%.<precision>g" would, with ".0" after a whole number.
void append_general(std::string& out, uint32_t digits, int precision, int exponent) {
  char text[12];
  int count = static_cast<int>(std::to_chars(text, text + sizeof(text), digits).ptr - text);
  while (count > 1 && text[count - 1] == '0') --count;
  if (exponent < -4 || exponent >= precision) {
    out += text[0];
    if (count > 1) out.append(".").append(text + 1, static_cast<size_t>(count - 1));
    const int magnitude = std::abs(exponent);
    out.append(exponent < 0 ? "e-" : "e+");
    if (magnitude < 10) out += '0';
    char number[8];
    out.append(number, std::to_chars(number, number + sizeof(number), magnitude).ptr);
  } else if (exponent < 0) {
    out.append("0.").append(static_cast<size_t>(-exponent - 1), '0');
    out.append(text, static_cast<size_t>(count));
  } else {
    const int whole = exponent + 1;
    out.append(text, static_cast<size_t>(std::min(count, whole)));
    if (count <= whole) {
      out.append(static_cast<size_t>(whole - count), '0').append(".0");
    } else {
      out.append(".").append(text + whole, static_cast<size_t>(count - whole));
    }
  }
}

constexpr double kTens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
double scale_by_ten(double value, int power) {
  return power < 0 ? value / kTens[-power] : value * kTens[power];
}

// Rounds to an integer unless `value`, which carries the error of one double operation, is too near
// to a tie to say which way.
bool round_surely(double value, uint32_t& rounded) {
  const double below = std::floor(value);
  const double fraction = value - below;
  constexpr double kDoubt = 1e-5;  // one double operation on values below 1e9 errs by 1.2e-7
  if (std::fabs(fraction - 0.5) < kDoubt) return false;
  rounded = static_cast<uint32_t>(below) + (fraction > 0.5 ? 1 : 0);
  return true;
}

// The 6-digit form if it reads back as `value`, else the 9-digit form, by double arithmetic; false
// (and nothing appended) where that could be wrong.
bool append_by_scaling(std::string& out, float value) {
  const double magnitude = std::fabs(static_cast<double>(value));
  if (!(magnitude >= 1e-12 && magnitude < 1e15)) return false;
  int exponent = static_cast<int>(std::floor(std::log10(magnitude)));
  double scaled = scale_by_ten(magnitude, 8 - exponent);
  if (scaled < 1e8) scaled = scale_by_ten(magnitude, 8 - --exponent);
  if (scaled >= 1e9) scaled = scale_by_ten(magnitude, 8 - ++exponent);
  uint32_t six = 0;
  if (!round_surely(scaled / 1000, six)) return false;
  const int six_exponent = six == 1000000 ? exponent + 1 : exponent;
  if (six == 1000000) six = 100000;
  const double back = scale_by_ten(six, six_exponent - 5);
  uint64_t bits;
  std::memcpy(&bits, &back, sizeof(bits));
  constexpr uint64_t kBelowFloat = (uint64_t{1} << 29) - 1;  // the bits that a float drops
  constexpr uint64_t kTie = uint64_t{1} << 28;
  if ((bits & kBelowFloat) == kTie) return false;
  if (static_cast<float>(back) == std::fabs(value)) {
    if (value < 0) out += '-';
    append_general(out, six, 6, six_exponent);
    return true;
  }
  uint32_t nine = 0;
  if (!round_surely(scaled, nine)) return false;
  if (nine == 1000000000) {
    nine = 100000000;
    ++exponent;
  }
  if (value < 0) out += '-';
  append_general(out, nine, 9, exponent);
  return true;
}

}  // namespace

void append_json_number(std::string& out, float value) {
  if (append_special(out, value) || append_by_scaling(out, value)) return;
  append_by_trial(out, value);
}

void append_json_number(std::string& out, double value) {
  if (!append_special(out, value)) append_by_trial(out, value);
}

}  // namespace tenon::serving
