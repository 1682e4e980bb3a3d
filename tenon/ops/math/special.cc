#include "tenon/ops/math/special.h"

#include <cmath>
#include <limits>

namespace tenon {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr int kMostTerms = 2000;

// x^a exp(-x) / Gamma(a), by logarithms.
double gamma_factor(double a, double x) { return std::exp(a * std::log(x) - x - std::lgamma(a)); }

// The power series, good for x < a + 1. DLMF 8.11.4.
double lower_gamma_series(double a, double x) {
  double sum = 1, term = 1;
  for (int i = 1; i < kMostTerms && term > sum * kEpsilon; ++i) {
    term *= x / (a + i);
    sum += term;
  }
  return sum * gamma_factor(a, x) / a;
}

// The continued fraction, good for x > a + 1, by Lentz's method. DLMF 8.9.2.
double upper_gamma_fraction(double a, double x) {
  constexpr double kTiny = 1e-300;
  double b = x + 1 - a, c = 1 / kTiny, d = 1 / b, h = d;
  for (int i = 1; i < kMostTerms; ++i) {
    const double an = -i * (i - a);
    b += 2;
    d = an * d + b;
    if (std::abs(d) < kTiny) d = kTiny;
    c = b + an / c;
    if (std::abs(c) < kTiny) c = kTiny;
    d = 1 / d;
    const double step = d * c;
    h *= step;
    if (std::abs(step - 1) < kEpsilon) break;
  }
  return h * gamma_factor(a, x);
}

// DLMF 8.17.22, by Lentz's method.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (std::abs(d) < kTiny) d = kTiny;
  d = 1 / d;
  double h = d;
  const auto step = [&](double term) {
    d = 1 + term * d;
    if (std::abs(d) < kTiny) d = kTiny;
    c = 1 + term / c;
    if (std::abs(c) < kTiny) c = kTiny;
    d = 1 / d;
    h *= d * c;
    return std::abs(d * c - 1);
  };
  for (int m = 1; m < kMostTerms; ++m) {
    step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    if (step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))) < kEpsilon) break;
  }
  return h;
}

double digamma(double x) {
  if (x <= 0 && x == std::floor(x)) return kNan;  // as TensorFlow has it at the poles
  if (x < 0) return digamma(1 - x) - M_PI / std::tan(M_PI * x);
  double result = 0;
  for (; x < 12; ++x) result -= 1 / x;
  // DLMF 5.11.2.
  const double y = 1 / (x * x);
  const double tail =
      y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y / 132))));
  return result + std::log(x) - 0.5 / x - tail;
}

}  // namespace

double lower_gamma(double a, double x) {
  if (x == 0) return 0;
  if (std::isnan(a) || std::isnan(x) || x < 0 || a <= 0) return kNan;
  if (std::isinf(a)) return 0;
  if (std::isinf(x)) return 1;
  return x < a + 1 ? lower_gamma_series(a, x) : 1 - upper_gamma_fraction(a, x);
}

double upper_gamma(double a, double x) {
  if (std::isnan(a) || std::isnan(x) || x < 0 || a <= 0) return kNan;
  if (x == 0) return 1;
  if (std::isinf(x)) return 0;
  if (std::isinf(a)) return 1;
  return x < a + 1 ? 1 - lower_gamma_series(a, x) : upper_gamma_fraction(a, x);
}

// The series is differentiated term by term; further out a difference of fourth order serves.
double lower_gamma_by_a(double a, double x) {
  if (x == 0) return 0;
  if (std::isnan(a) || std::isnan(x) || x < 0 || a <= 0) return kNan;
  if (std::isinf(a) || std::isinf(x)) return 0;
  if (x < a + 1) {
    double sum = 1, term = 1, d_term = 0, d_sum = 0;
    for (int i = 1; i < kMostTerms && term > sum * kEpsilon * 1e-2; ++i) {
      d_term = d_term * x / (a + i) - term * x / ((a + i) * (a + i));
      term *= x / (a + i);
      sum += term;
      d_sum += d_term;
    }
    const double factor = gamma_factor(a, x) / a;
    return factor * (d_sum + sum * (std::log(x) - digamma(a) - 1 / a));
  }
  const double h = 1e-3 * std::max(1.0, a);
  const auto q = [x](double at) { return upper_gamma_fraction(at, x); };
  return (q(a + 2 * h) - 8 * q(a + h) + 8 * q(a - h) - q(a - 2 * h)) / (12 * h);
}

double incomplete_beta(double a, double b, double x) {
  if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1)) return kNan;
  if (x == 0 || x == 1) return x;
  const double factor = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                 a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? factor * beta_fraction(a, b, x) / a
                                   : 1 - factor * beta_fraction(b, a, 1 - x) / b;
}

// The first terms, then Euler and Maclaurin's formula. DLMF 25.11.28.
double hurwitz_zeta(double x, double q) {
  if (x == 1) return kInfinity;
  if (!(x > 1)) return kNan;
  if (std::isinf(x)) return std::isnan(q) ? kNan : q > 1 ? 0 : q == 1 ? 1 : kInfinity;
  if (q <= 0) {
    const bool even = std::fmod(x, 2) == 0;
    if (q == std::floor(q)) return x == std::floor(x) && even ? kInfinity : kNan;
    if (x != std::floor(x)) return kNan;
    // The terms below 0 are those of two series above it, however many they are.
    const double above = q - std::floor(q);
    const double below = hurwitz_zeta(x, 1 - above) - hurwitz_zeta(x, 1 - q);
    return hurwitz_zeta(x, above) + (even ? below : -below);
  }
  double sum = 0, at = q;
  for (int i = 0; i < 12 || at < 12; ++i, ++at) sum += std::pow(at, -x);
  sum += std::pow(at, 1 - x) / (x - 1) + 0.5 * std::pow(at, -x);
  // B_2k / (2k)! of the correction.
  constexpr double kBernoulli[] = {1.0 / 12,           -1.0 / 720,     1.0 / 30240,
                                   -1.0 / 1209600,     1.0 / 47900160, -691.0 / 1307674368000.0,
                                   1.0 / 74724249600.0};
  double term = x * std::pow(at, -x - 1);
  for (int k = 0; k < 7; ++k) {
    sum += kBernoulli[k] * term;
    term *= (x + 2 * k + 1) * (x + 2 * k + 2) / (at * at);
  }
  return sum;
}

double polygamma(double n, double x) {
  if (n != std::floor(n) || n < 0) return kNan;
  if (n == 0) return digamma(x);
  if (std::isinf(n)) return kInfinity;
  const double sign = std::fmod(n, 2) == 0 ? -1 : 1;
  return sign * std::exp(std::lgamma(n + 1)) * hurwitz_zeta(n + 1, x);
}

namespace {

// exp(-x) I_v(x) for x >= 0: the power series up to 30, the asymptotic one beyond.
// DLMF 10.25.2, 10.40.1.
double scaled_bessel(int order, double x) {
  if (x < 30) {
    const double quarter = x * x / 4;
    double term = order == 0 ? 1 : x / 2, sum = term;
    for (int k = 1; k < kMostTerms && term > sum * kEpsilon; ++k) {
      term *= quarter / (static_cast<double>(k) * (k + order));
      sum += term;
    }
    return sum * std::exp(-x);
  }
  if (std::isinf(x)) return 0;
  const double mu = 4.0 * order * order;
  double term = 1, sum = 1;
  for (int k = 1; k < 30; ++k) {
    const double next = -term * (mu - (2.0 * k - 1) * (2.0 * k - 1)) / (8.0 * x * k);
    if (std::abs(next) > std::abs(term) || std::abs(next) < kEpsilon * std::abs(sum)) break;
    term = next;
    sum += term;
  }
  return sum / (std::sqrt(2 * M_PI) * std::sqrt(x));  // 2 pi x may be beyond double
}

}  // namespace

double bessel_i0e(double x) { return std::isnan(x) ? x : scaled_bessel(0, std::abs(x)); }
double bessel_i1e(double x) {
  return std::isnan(x) ? x : std::copysign(scaled_bessel(1, std::abs(x)), x);
}

}  // namespace tenon
