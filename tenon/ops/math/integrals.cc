#include "tenon/ops/math/integrals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace tenon {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
constexpr double kPi = std::numbers::pi;

// exp(x) K_order(x) as the integral 10.32.9, whose trapezoid rule converges faster than any power
// once its steps are smaller than the integrand is wide, which is 1 / sqrt(x).
double scaled_k_by_integral(int order, double x) {
  const double step = std::min(0.0625, 0.7 / std::sqrt(x));
  double sum = 0.5;
  for (int i = 1;; ++i) {
    const double t = step * i;
    // cosh(t) - 1 without cancellation.
    const double half = std::sinh(t / 2);
    const double term = std::exp(-2 * x * half * half) * (order == 0 ? 1 : std::cosh(t));
    sum += term;
    if (term < 1e-18 * sum) return sum * step;
  }
}

// 10.31.2 and 10.31.1, for x up to 2: no terms of another sign.
double k0_by_series(double x) {
  const double quarter = x * x / 4;
  double term = 1, harmonic = 0, i0 = 0, sum = 0;
  for (int k = 0; term > 1e-20; ++k) {
    i0 += term;
    sum += term * harmonic;
    harmonic += 1.0 / (k + 1);
    term *= quarter / ((k + 1.0) * (k + 1.0));
  }
  return sum - (std::log(x / 2) + std::numbers::egamma) * i0;
}
double k1_by_series(double x) {
  const double quarter = x * x / 4;
  double term = 1, i1 = 0, sum = 0;
  double digammas = 1 - 2 * std::numbers::egamma;  // digamma(k + 1) + digamma(k + 2)
  for (int k = 0; term > 1e-20; ++k) {
    i1 += term;
    sum += term * digammas;
    digammas += 1.0 / (k + 1) + 1.0 / (k + 2);
    term *= quarter / ((k + 1.0) * (k + 2.0));
  }
  return 1 / x + std::log(x / 2) * (x / 2) * i1 - x / 4 * sum;
}

// K_order(x), or exp(x) times it.
double bessel_k(int order, double x, bool scaled) {
  if (std::isnan(x)) return x;
  if (x <= 0) return kUnbounded;
  if (x <= 2) {
    const double y = order == 0 ? k0_by_series(x) : k1_by_series(x);
    return scaled ? y * std::exp(x) : y;
  }
  // Beyond 1e8 the first term of 10.40.2 is exact.
  const double y = x > 1e8 ? std::sqrt(kPi / (2 * x)) : scaled_k_by_integral(order, x);
  return scaled ? y : y * std::exp(-x);
}

struct FresnelPair {
  double cosine, sine;
};

// 7.6.4 and 7.6.6.
FresnelPair fresnel_by_series(double x) {
  const double angle = kPi / 2 * x * x;
  double term = x, cosine = 0, sine = 0;
  for (int k = 0; k < 60; k += 2) {
    cosine += term / (2 * k + 1);
    term *= angle / (k + 1);
    sine += term / (2 * k + 3);
    term *= -angle / (k + 2);
  }
  return {cosine, sine};
}

// 7.5.3 and 7.5.4, with the auxiliary functions by 7.7.10 and 7.7.11: integrals over the whole line
// of a function that falls like a Gaussian.
FresnelPair fresnel_by_auxiliaries(double x) {
  const double step = std::min(0.35, 0.1 * x);
  double f = 0.5, g = 0;
  for (int i = 1;; ++i) {
    const double v = step * i, u = v / x;
    const double weight = std::exp(-kPi / 2 * v * v);
    if (weight < 1e-19) break;
    f += weight / (u * u * u * u + 1);
    g += weight * u * u / (u * u * u * u + 1);
  }
  const double scale = std::numbers::sqrt2 / kPi * step / x;
  f *= scale;
  g *= scale;
  const double angle = kPi / 2 * std::fmod(x * x, 4);
  return {0.5 + f * std::sin(angle) - g * std::cos(angle),
          0.5 - f * std::cos(angle) - g * std::sin(angle)};
}

FresnelPair fresnel(double x) {
  if (std::isnan(x)) return {x, x};
  const double size = std::abs(x);
  FresnelPair y{0.5, 0.5};
  if (size < 1.6) {
    y = fresnel_by_series(size);
  } else if (size < 1e8) {
    y = fresnel_by_auxiliaries(size);
  }
  return {std::copysign(y.cosine, x), std::copysign(y.sine, x)};
}

// Li_2(1 - x) for x in [1/2, 2]: a series in Bernoulli's numbers of u = -log(x), 25.12(i).
double spence_near_one(double x) {
  constexpr std::array<double, 10> kBernoulli = {
      1.0 / 6,       -1.0 / 30, 1.0 / 42,      -1.0 / 30,     5.0 / 66,
      -691.0 / 2730, 7.0 / 6,   -3617.0 / 510, 43867.0 / 798, -174611.0 / 330};
  const double u = -std::log(x);
  double sum = u - u * u / 4;
  double power = u;  // u^(2k + 1) / (2k + 1)!
  for (size_t k = 1; k <= kBernoulli.size(); ++k) {
    const auto n = static_cast<double>(2 * k);
    power *= u * u / (n * (n + 1));
    sum += kBernoulli[k - 1] * power;
  }
  return sum;
}

}  // namespace

// Rybicki's sum over a grid (Computers in Physics 3, 1989): the error is exp(-(pi / 2 h)^2).
double dawson(double x) {
  if (std::isnan(x)) return x;
  const double size = std::abs(x);
  if (size < 0.1) {  // 7.6.2, few terms
    double term = x, sum = 0;
    for (int k = 0; k < 12; ++k) {
      sum += term;
      term *= -2 * x * x / (2 * k + 3);
    }
    return sum;
  }
  if (size > 1e4) return (1 + 1 / (2 * x * x)) / (2 * x);
  constexpr double kStep = 0.2;
  const double nearest = 2 * std::round(size / (2 * kStep));
  double sum = 0;
  for (int k = -37; k <= 37; k += 2) {
    const double n = nearest + k, apart = size - n * kStep;
    sum += std::exp(-apart * apart) / n;
  }
  return std::copysign(sum * std::numbers::inv_sqrtpi, x);
}

double exponential_integral(double x) {
  if (std::isnan(x) || x < 0) return kNotANumber;
  if (x == 0) return -kUnbounded;
  if (x > 720) return kUnbounded;
  return std::expint(x);
}

double fresnel_cosine(double x) { return fresnel(x).cosine; }
double fresnel_sine(double x) { return fresnel(x).sine; }

// 25.12.4 and 25.12.6.
double spence(double x) {
  if (std::isnan(x) || x < 0) return kNotANumber;
  if (x == 0) return kPi * kPi / 6;
  if (std::isinf(x)) return -kUnbounded;
  if (x < 0.5) return kPi * kPi / 6 - std::log(x) * std::log1p(-x) - spence_near_one(1 - x);
  if (x <= 2) return spence_near_one(x);
  const double log = std::log(x);
  return -spence(1 / x) - log * log / 2;
}

double bessel_j0(double x) { return std::isinf(x) ? kNotANumber : ::j0(x); }
double bessel_j1(double x) { return std::isinf(x) ? kNotANumber : ::j1(x); }
double bessel_y0(double x) { return x < 0 ? -kUnbounded : x == kUnbounded ? kNotANumber : ::y0(x); }
double bessel_y1(double x) { return x < 0 ? -kUnbounded : x == kUnbounded ? kNotANumber : ::y1(x); }
double bessel_k0(double x) { return bessel_k(0, x, false); }
double bessel_k1(double x) { return bessel_k(1, x, false); }
double bessel_k0e(double x) { return bessel_k(0, x, true); }
double bessel_k1e(double x) { return bessel_k(1, x, true); }

}  // namespace tenon
