// float32 mathematics on Highway vectors, whole domain (NaN, infinities, subnormals). Included by
// *_simd.cc files once per instruction set; private to this folder.
#if defined(TENON_KERNELS_MATH_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_MATH_SIMD_INL_H
#undef TENON_KERNELS_MATH_SIMD_INL_H
#else
#define TENON_KERNELS_MATH_SIMD_INL_H
#endif

#include <cmath>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;

HWY_INLINE FloatVec keep_nan(FloatVec x, FloatVec y) { return hn::IfThenElse(hn::IsNaN(x), x, y); }

// Highway's is within 1 ulp on [-FLT_MAX, 104].
HWY_INLINE FloatVec exp_f32(FloatTag d, FloatVec x) {
  return keep_nan(x, hn::Exp(d, hn::Min(x, hn::Set(d, 104.0f))));
}

HWY_INLINE FloatVec expm1_f32(FloatTag d, FloatVec x) {
  return keep_nan(x, hn::Expm1(d, hn::Min(x, hn::Set(d, 104.0f))));
}

HWY_INLINE FloatVec log_f32(FloatTag d, FloatVec x) {
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto zero = hn::Zero(d);
  FloatVec y = hn::Log(d, x);
  y = hn::IfThenElse(hn::Eq(x, infinity), infinity, y);
  y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
  y = hn::IfThenElse(hn::Lt(x, zero), hn::NaN(d), y);
  return keep_nan(x, y);
}

// log(1 + x) corrected for the rounding of 1 + x (Kahan).
HWY_INLINE FloatVec log1p_f32(FloatTag d, FloatVec x) {
  const auto one = hn::Set(d, 1.0f);
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const FloatVec y = hn::Add(x, one);
  const FloatVec rounded = hn::Sub(y, one);
  const FloatVec product = hn::Mul(log_f32(d, y), hn::Div(x, rounded));
  const FloatVec small = hn::IfThenElse(hn::Eq(rounded, hn::Zero(d)), x, product);
  return hn::IfThenElse(hn::Eq(x, infinity), infinity, small);
}

HWY_INLINE FloatVec tanh_f32(FloatTag d, FloatVec x) { return keep_nan(x, hn::Tanh(d, x)); }

HWY_INLINE FloatVec sigmoid_f32(FloatTag d, FloatVec x) {
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exp_f32(d, hn::Neg(x))));
}

// NaN stays NaN.
HWY_INLINE FloatVec clamp_f32(FloatTag d, FloatVec x, float low, float high) {
  const auto bottom = hn::Set(d, low);
  const auto top = hn::Set(d, high);
  const FloatVec y = hn::IfThenElse(hn::Lt(x, bottom), bottom, x);
  return hn::IfThenElse(hn::Gt(y, top), top, y);
}

// Klambauer et al., "Self-normalizing neural networks", 2017.
HWY_INLINE FloatVec selu_f32(FloatTag d, FloatVec x) {
  const FloatVec negative = hn::Mul(hn::Set(d, 1.7580993408473768599f), expm1_f32(d, x));
  const FloatVec positive = hn::Mul(hn::Set(d, 1.0507009873554804934f), x);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), negative, positive);
}

// max(x, 0) + log(1 + exp(-|x|)).
HWY_INLINE FloatVec softplus_f32(FloatTag d, FloatVec x) {
  const FloatVec tail = log1p_f32(d, exp_f32(d, hn::Neg(hn::Abs(x))));
  return hn::Add(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x), tail);
}

HWY_INLINE FloatVec softsign_f32(FloatTag d, FloatVec x) {
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), hn::Abs(x)));
}

// x * P(x^2) / Q(x^2) on [-4, 4] (XLA's and Eigen's coefficients); beyond it erf is 1 in float32.
HWY_INLINE FloatVec erf_f32(FloatTag d, FloatVec x) {
  const FloatVec clamped = clamp_f32(d, x, -4.0f, 4.0f);
  const FloatVec s = hn::Mul(clamped, clamped);
  constexpr float kP[] = {-2.72614225801306e-10f, 2.77068142495902e-08f,  -2.10102402082508e-06f,
                          -5.69250639462346e-05f, -7.34990630326855e-04f, -2.95459980854025e-03f,
                          -1.60960333262415e-02f};
  constexpr float kQ[] = {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f,
                          -7.37332916720468e-03f, -1.42647390514189e-02f};
  FloatVec p = hn::Set(d, kP[0]);
  for (size_t i = 1; i < 7; ++i) p = hn::MulAdd(p, s, hn::Set(d, kP[i]));
  FloatVec q = hn::Set(d, kQ[0]);
  for (size_t i = 1; i < 5; ++i) q = hn::MulAdd(q, s, hn::Set(d, kQ[i]));
  return clamp_f32(d, hn::Div(hn::Mul(clamped, p), q), -1.0f, 1.0f);
}

HWY_INLINE FloatVec gelu_erf_f32(FloatTag d, FloatVec x) {
  const FloatVec e = erf_f32(d, hn::Mul(x, hn::Set(d, 0.70710678118654752440f)));
  return hn::Mul(hn::Mul(hn::Set(d, 0.5f), x), hn::Add(hn::Set(d, 1.0f), e));
}

HWY_INLINE FloatVec gelu_tanh_f32(FloatTag d, FloatVec x) {
  const FloatVec cube = hn::Mul(hn::Mul(x, x), x);
  const FloatVec inner =
      hn::Mul(hn::Set(d, 0.79788456080286535588f), hn::MulAdd(hn::Set(d, 0.044715f), cube, x));
  return hn::Mul(hn::Mul(hn::Set(d, 0.5f), x), hn::Add(hn::Set(d, 1.0f), tanh_f32(d, inner)));
}

HWY_INLINE FloatVec sign_f32(FloatTag d, FloatVec x) {
  const FloatVec one = hn::CopySign(hn::Set(d, 1.0f), x);
  return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, keep_nan(x, one));
}

// Highway's range reduction ends near 39000; larger lanes (and infinities) go through `scalar`.
template <class Scalar>
HWY_INLINE FloatVec beyond_range(FloatTag d, FloatVec x, FloatVec y, Scalar scalar) {
  const auto large = hn::Not(hn::Lt(hn::Abs(x), hn::Set(d, 30000.0f)));
  if (HWY_LIKELY(hn::AllFalse(d, large))) return y;
  HWY_ALIGN float in[hn::MaxLanes(d)];
  HWY_ALIGN float out[hn::MaxLanes(d)];
  hn::Store(x, d, in);
  hn::Store(y, d, out);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (!(std::abs(in[i]) < 30000.0f)) out[i] = scalar(in[i]);
  }
  return hn::Load(d, out);
}

HWY_INLINE FloatVec sin_f32(FloatTag d, FloatVec x) {
  return beyond_range(d, x, hn::Sin(d, x), [](float v) { return std::sin(v); });
}
HWY_INLINE FloatVec cos_f32(FloatTag d, FloatVec x) {
  return beyond_range(d, x, hn::Cos(d, x), [](float v) { return std::cos(v); });
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
