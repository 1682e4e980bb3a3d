#include <cmath>
#include <limits>

#include "tenon/kernels/scalar/elementwise_generic.h"

namespace tenon::kernels {
namespace {
constexpr double kPi = 3.14159265358979323846;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}  // namespace

double log_gamma(double x) {
  int sign = 0;  // std::lgamma writes a global instead
  return ::lgamma_r(x, &sign);
}

// Reflection below 0, recurrence up to 10, then the asymptotic series (Abramowitz and
// Stegun 6.3.18).
double digamma(double x) {
  if (std::isnan(x) || x == -kInfinity) return kNaN;
  if (x <= 0) {
    if (x == std::floor(x)) return kNaN;  // a pole
    return digamma(1 - x) - kPi / std::tan(kPi * x);
  }
  double shift = 0;
  for (; x < 10; ++x) shift -= 1 / x;
  const double s = 1 / (x * x);
  const double series =
      s * (1.0 / 12 -
           s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 - s * 691 / 32760)))));
  return shift + std::log(x) - 0.5 / x - series;
}

// Abramowitz and Stegun 26.2.23 (error below 4.5e-4), then Halley's steps on the distribution.
double normal_quantile(double p) {
  if (!(p >= 0 && p <= 1)) return kNaN;
  if (p == 0) return -kInfinity;
  if (p == 1) return kInfinity;
  if (p > 0.5) return -normal_quantile(1 - p);
  const double t = std::sqrt(-2 * std::log(p));
  double z = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                       (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (int step = 0; step < 3; ++step) {
    const double error = 0.5 * std::erfc(-z / std::sqrt(2.0)) - p;
    const double u = error * std::sqrt(2 * kPi) * std::exp(z * z / 2);
    z -= u / (1 + z * u / 2);
  }
  return z;
}

// Newton's steps on erf near 0, where the quantile's argument would lose digits.
double erf_inverse(double x) {
  if (!(std::abs(x) <= 1)) return kNaN;
  if (std::abs(x) >= 0.5) {
    return std::copysign(normal_quantile((1 - std::abs(x)) / 2) / std::sqrt(2.0), x);
  }
  double y = x * std::sqrt(kPi) / 2 * (1 + kPi / 12 * x * x);
  for (int step = 0; step < 4; ++step) {
    y -= (std::erf(y) - x) * std::sqrt(kPi) / 2 * std::exp(y * y);
  }
  return y;
}

}  // namespace tenon::kernels
