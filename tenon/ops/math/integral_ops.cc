// Dawsn, Expint, FresnelCos, FresnelSin, Spence, BesselJ0, J1, Y0, Y1, K0, K1, K0e, K1e.
#include <limits>
#include <numbers>

#include "tenon/ops/math/integrals.h"
#include "tenon/ops/math/special_unary.h"

namespace tenon {
namespace {

// Gradients: math_grad.py.
struct DawsnFormula {
  Value operator()(UnaryValues v) const { return v.dy * (1.0 - v.x * v.y * 2.0); }
};
struct ExpintFormula {
  Value operator()(UnaryValues v) const { return v.dy * (apply("Exp", v.x) / v.x); }
};
struct FresnelCosFormula {
  Value operator()(UnaryValues v) const {
    return v.dy * apply("Cos", square(v.x) * (std::numbers::pi / 2));
  }
};
struct FresnelSinFormula {
  Value operator()(UnaryValues v) const {
    return v.dy * apply("Sin", square(v.x) * (std::numbers::pi / 2));
  }
};
struct SpenceFormula {
  Value operator()(UnaryValues v) const {
    const Value slope = apply("Log", v.x) / (1.0 - v.x);
    return v.dy * select(apply("Equal", v.x, v.x.like(1)), v.x.like(-1), slope);
  }
};
struct BesselJ0Formula {
  Value operator()(UnaryValues v) const { return -(v.dy * apply("BesselJ1", v.x)); }
};
struct BesselJ1Formula {
  Value operator()(UnaryValues v) const {
    const Value slope = apply("BesselJ0", v.x) - v.y / v.x;
    return v.dy * select(apply("Equal", v.x, v.x.like(0)), v.x.like(0.5), slope);
  }
};
struct BesselY0Formula {
  Value operator()(UnaryValues v) const { return -(v.dy * apply("BesselY1", v.x)); }
};
struct BesselY1Formula {
  Value operator()(UnaryValues v) const { return v.dy * (apply("BesselY0", v.x) - v.y / v.x); }
};
struct BesselK0Formula {
  Value operator()(UnaryValues v) const { return -(v.dy * apply("BesselK1", v.x)); }
};
struct BesselK0eFormula {
  Value operator()(UnaryValues v) const { return v.dy * (v.y - apply("BesselK1e", v.x)); }
};
struct BesselK1Formula {
  Value operator()(UnaryValues v) const { return -(v.dy * (apply("BesselK0", v.x) + v.y / v.x)); }
};
struct BesselK1eFormula {
  Value operator()(UnaryValues v) const {
    return v.dy * (v.y * (1.0 - 1.0 / v.x) - apply("BesselK0e", v.x));
  }
};

// Below it and above its reciprocal TensorFlow's threads compute with zeros.
template <class T>
constexpr double kLeastNormal = sizeof(T) == 8 ? 0x1p-1022 : 0x1p-126;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kEndless = std::numeric_limits<double>::infinity();

// 1 / x is a factor of the result, or an argument of its logarithm.
struct DividesByX {
  template <class T>
  static double fix(double x, double y) {
    return x > 1 / kLeastNormal<T> ? kNone : y;
  }
};
// In float32 the pole is the sum of infinities of either sign.
struct PoleIsNone {
  template <class T>
  static double fix(double x, double y) {
    return sizeof(T) < 8 && x == 0 ? kNone : y;
  }
};
// The logarithm of x / 2 is that of 0.
struct LogOfHalf {
  template <class T>
  static double fix(double x, double y) {
    return x > 0 && x < 2 * kLeastNormal<T> ? kEndless : y;
  }
};
// And is multiplied by x.
struct LogOfHalfTimesX {
  template <class T>
  static double fix(double x, double y) {
    return x > 0 && x < 2 * kLeastNormal<T> ? kNone : y;
  }
};

}  // namespace

TENON_OP(Dawsn) = special_unary<dawson, DawsnFormula>();
TENON_OP(Expint) = special_unary<exponential_integral, ExpintFormula, DividesByX>();
TENON_OP(FresnelCos) = special_unary<fresnel_cosine, FresnelCosFormula>();
TENON_OP(FresnelSin) = special_unary<fresnel_sine, FresnelSinFormula>();
TENON_OP(Spence) = special_unary<spence, SpenceFormula, DividesByX>();
TENON_OP(BesselJ0) = special_unary<bessel_j0, BesselJ0Formula>();
TENON_OP(BesselJ1) = special_unary<bessel_j1, BesselJ1Formula>();
TENON_OP(BesselY0) = special_unary<bessel_y0, BesselY0Formula>();
TENON_OP(BesselY1) = special_unary<bessel_y1, BesselY1Formula, PoleIsNone>();
TENON_OP(BesselK0) = special_unary<bessel_k0, BesselK0Formula, LogOfHalf>();
TENON_OP(BesselK0e) = special_unary<bessel_k0e, BesselK0eFormula, LogOfHalf>();
TENON_OP(BesselK1) = special_unary<bessel_k1, BesselK1Formula, LogOfHalfTimesX>();
TENON_OP(BesselK1e) = special_unary<bessel_k1e, BesselK1eFormula, LogOfHalfTimesX>();

}  // namespace tenon
