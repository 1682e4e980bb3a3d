// Scalar forms of the element-wise operations for every dtype; elementwise_unary.cc and
// elementwise_binary.cc make loops of them. Private to this folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "tenon/core/dtype.h"

namespace tenon::kernels {

template <class T>
inline constexpr bool is_complex_v = false;
template <class T>
inline constexpr bool is_complex_v<std::complex<T>> = true;
template <class T>
inline constexpr bool is_integer_v = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// Arithmetic of float16 and bfloat16 is float's; results are rounded once when stored.
template <class T>
struct ComputeOf {
  using Type = T;
};
template <>
struct ComputeOf<float16> {
  using Type = float;
};
template <>
struct ComputeOf<bfloat16> {
  using Type = float;
};
template <class T>
using Compute = typename ComputeOf<T>::Type;

// Integers wrap around: unsigned arithmetic wide enough that promotion to int cannot overflow.
template <class T>
using Wrap = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T>
T wrap_add(T a, T b) {
  if constexpr (is_integer_v<T>) {
    return static_cast<T>(static_cast<Wrap<T>>(a) + static_cast<Wrap<T>>(b));
  } else {
    return a + b;
  }
}
template <class T>
T wrap_sub(T a, T b) {
  if constexpr (is_integer_v<T>) {
    return static_cast<T>(static_cast<Wrap<T>>(a) - static_cast<Wrap<T>>(b));
  } else {
    return a - b;
  }
}
template <class T>
T wrap_mul(T a, T b) {
  if constexpr (is_integer_v<T>) {
    return static_cast<T>(static_cast<Wrap<T>>(a) * static_cast<Wrap<T>>(b));
  } else {
    return a * b;
  }
}

template <class T>
T negative(T x) {
  if constexpr (is_integer_v<T>) {
    return wrap_sub(T{}, x);
  } else {
    return -x;
  }
}

// Quotient towards zero; 0 for a zero divisor, no trap for lowest / -1.
template <class T>
T safe_div(T a, T b) {
  if constexpr (is_integer_v<T>) {
    if (b == T{0}) return T{0};
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return wrap_sub(T{0}, a);
    }
    return static_cast<T>(a / b);
  } else {
    return a / b;
  }
}

template <class T>
T truncate_mod(T a, T b) {
  if constexpr (is_integer_v<T>) {
    return wrap_sub(a, wrap_mul(safe_div(a, b), b == T{0} ? T{1} : b));
  } else {
    return std::fmod(a, b);
  }
}

template <class T>
T floor_mod(T a, T b) {
  if constexpr (is_integer_v<T>) {
    if (b == T{0}) return T{0};
  }
  const T rest = truncate_mod(a, b);
  if constexpr (std::is_unsigned_v<T>) {
    return rest;
  } else {
    return rest != T{0} && ((b < T{0}) != (rest < T{0})) ? wrap_add(rest, b) : rest;
  }
}

template <class T>
T floor_div(T a, T b) {
  if constexpr (is_integer_v<T>) {
    const T quotient = safe_div(a, b);
    if constexpr (std::is_signed_v<T>) {
      if (b != T{0} && (a < 0) != (b < 0) && wrap_mul(quotient, b) != a) {
        return static_cast<T>(quotient - 1);
      }
    }
    return quotient;
  } else {
    return std::floor(a / b);
  }
}

// Integers by repeated squaring; a negative exponent gives the truncated quotient (0 for base 0).
template <class T>
T power(T base, T exponent) {
  if constexpr (is_integer_v<T>) {
    if constexpr (std::is_signed_v<T>) {
      if (exponent < 0) {
        if (base == T{1}) return T{1};
        if (base == T{-1}) return exponent % 2 == 0 ? T{1} : T{-1};
        return T{0};
      }
    }
    T result{1};
    for (auto rest = static_cast<Wrap<T>>(exponent); rest != 0; rest >>= 1) {
      if (rest & 1) result = wrap_mul(result, base);
      base = wrap_mul(base, base);
    }
    return result;
  } else {
    return std::pow(base, exponent);
  }
}

template <class T>
T sign_of(T x) {
  if constexpr (std::is_unsigned_v<T>) {
    return static_cast<T>(x != T{0});
  } else if constexpr (is_integer_v<T>) {
    return static_cast<T>((x > 0) - (x < 0));
  } else if constexpr (is_complex_v<T>) {
    // The absolute value by TensorFlow's steps, so that the last bit is its too.
    const auto most = std::max(std::abs(x.real()), std::abs(x.imag()));
    if (most == 0) return T{};
    const auto ratio = std::min(std::abs(x.real()), std::abs(x.imag())) / most;
    return x / (most * std::sqrt(1 + ratio * ratio));
  } else {
    return x > 0 ? T{1} : x < 0 ? T{-1} : x;
  }
}

template <class T>
T absolute(T x) {
  if constexpr (std::is_unsigned_v<T>) {
    return x;
  } else if constexpr (is_integer_v<T>) {
    return x < 0 ? wrap_sub(T{0}, x) : x;
  } else {
    return std::abs(x);
  }
}

template <class T>
T larger(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a || b != b) return a + b;
  }
  return a < b ? b : a;
}
template <class T>
T smaller(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a || b != b) return a + b;
  }
  return b < a ? b : a;
}

template <class T>
T shift_left(T a, T b) {
  const auto most = static_cast<int>(sizeof(T) * 8 - 1);
  const int amount = b < T{0} ? 0 : b > static_cast<T>(most) ? most : static_cast<int>(b);
  return static_cast<T>(static_cast<Wrap<T>>(a) << amount);
}
template <class T>
T shift_right(T a, T b) {
  const auto most = static_cast<int>(sizeof(T) * 8 - 1);
  const int amount = b < T{0} ? 0 : b > static_cast<T>(most) ? most : static_cast<int>(b);
  return static_cast<T>(a >> amount);
}

template <class T>
T sigmoid(T x) {
  return T{1} / (T{1} + std::exp(-x));
}
template <class T>
T softplus(T x) {
  return (x > 0 ? x : T{0}) + std::log1p(std::exp(-std::abs(x)));
}

// exp(x) - 1 and log(1 + x) that keep their digits near 0; of complex numbers part by part.
template <class T>
T exp_minus_1(T x) {
  if constexpr (is_complex_v<T>) {
    const auto a = x.real(), b = x.imag();
    const auto half_sine = std::sin(b / 2);
    return {std::expm1(a) * std::cos(b) - 2 * half_sine * half_sine, std::exp(a) * std::sin(b)};
  } else {
    return std::expm1(x);
  }
}
template <class T>
T log_1_plus(T x) {
  if constexpr (is_complex_v<T>) {
    const auto a = x.real(), b = x.imag();
    return {std::log1p(2 * a + a * a + b * b) / 2, std::atan2(b, 1 + a)};
  } else {
    return std::log1p(x);
  }
}

// Special functions in double precision (special_functions.cc).
double digamma(double x);
double erf_inverse(double x);
double normal_quantile(double p);  // inverse of the normal distribution function
double log_gamma(double x);

}  // namespace tenon::kernels
