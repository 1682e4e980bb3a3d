// float32 unary kernels, compiled once per instruction set and chosen at run time.
#include <cmath>
#include <cstring>

#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/elementwise_f32.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/unary_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/math_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

// The tail goes through the same vector code as the rest, so position does not change bits.
template <class Op>
void map_unary(const void* from, void* to, int64_t count) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* x = static_cast<const float*>(from);
  float* y = static_cast<float*>(to);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(Op::run(d, hn::LoadU(d, x + i)), d, y + i);
  if (i == count) return;
  HWY_ALIGN float tail[hn::MaxLanes(d)] = {};
  const size_t bytes = static_cast<size_t>(count - i) * sizeof(float);
  std::memcpy(tail, x + i, bytes);
  hn::Store(Op::run(d, hn::Load(d, tail)), d, tail);
  std::memcpy(y + i, tail, bytes);
}

#define TENON_UNARY_F32(name, expression)                    \
  struct name {                                              \
    HWY_INLINE static FloatVec run(FloatTag d, FloatVec x) { \
      static_cast<void>(d);                                  \
      return expression;                                     \
    }                                                        \
  };
TENON_UNARY_F32(Neg, hn::Neg(x))
TENON_UNARY_F32(Abs, hn::Abs(x))
TENON_UNARY_F32(Square, hn::Mul(x, x))
TENON_UNARY_F32(Sqrt, hn::Sqrt(x))
TENON_UNARY_F32(Rsqrt, hn::Div(hn::Set(d, 1.0f), hn::Sqrt(x)))
TENON_UNARY_F32(Reciprocal, hn::Div(hn::Set(d, 1.0f), x))
TENON_UNARY_F32(Exp, exp_f32(d, x))
TENON_UNARY_F32(Expm1, expm1_f32(d, x))
TENON_UNARY_F32(Log, log_f32(d, x))
TENON_UNARY_F32(Log1p, log1p_f32(d, x))
TENON_UNARY_F32(Tanh, tanh_f32(d, x))
TENON_UNARY_F32(Sigmoid, sigmoid_f32(d, x))
TENON_UNARY_F32(Relu, hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x))
TENON_UNARY_F32(Relu6, clamp_f32(d, x, 0.0f, 6.0f))
TENON_UNARY_F32(Elu, hn::IfThenElse(hn::Lt(x, hn::Zero(d)), expm1_f32(d, x), x))
TENON_UNARY_F32(Selu, selu_f32(d, x))
TENON_UNARY_F32(Softplus, softplus_f32(d, x))
TENON_UNARY_F32(Softsign, softsign_f32(d, x))
TENON_UNARY_F32(GeluErf, gelu_erf_f32(d, x))
TENON_UNARY_F32(GeluTanh, gelu_tanh_f32(d, x))
TENON_UNARY_F32(Swish, hn::Mul(x, sigmoid_f32(d, x)))
TENON_UNARY_F32(Erf, erf_f32(d, x))
TENON_UNARY_F32(Sin, sin_f32(d, x))
TENON_UNARY_F32(Cos, cos_f32(d, x))
TENON_UNARY_F32(Floor, hn::Floor(x))
TENON_UNARY_F32(Ceil, hn::Ceil(x))
TENON_UNARY_F32(Rint, hn::Round(x))
TENON_UNARY_F32(Sign, sign_f32(d, x))
#undef TENON_UNARY_F32

UnaryKernel unary_f32(UnaryOp op) {
  struct Row {
    UnaryOp op;
    UnaryKernel kernel;
  };
  static constexpr Row kRows[] = {
      {UnaryOp::kNeg, &map_unary<Neg>},           {UnaryOp::kAbs, &map_unary<Abs>},
      {UnaryOp::kSquare, &map_unary<Square>},     {UnaryOp::kSqrt, &map_unary<Sqrt>},
      {UnaryOp::kRsqrt, &map_unary<Rsqrt>},       {UnaryOp::kReciprocal, &map_unary<Reciprocal>},
      {UnaryOp::kExp, &map_unary<Exp>},           {UnaryOp::kExpm1, &map_unary<Expm1>},
      {UnaryOp::kLog, &map_unary<Log>},           {UnaryOp::kLog1p, &map_unary<Log1p>},
      {UnaryOp::kTanh, &map_unary<Tanh>},         {UnaryOp::kSigmoid, &map_unary<Sigmoid>},
      {UnaryOp::kRelu, &map_unary<Relu>},         {UnaryOp::kRelu6, &map_unary<Relu6>},
      {UnaryOp::kElu, &map_unary<Elu>},           {UnaryOp::kSelu, &map_unary<Selu>},
      {UnaryOp::kSoftplus, &map_unary<Softplus>}, {UnaryOp::kSoftsign, &map_unary<Softsign>},
      {UnaryOp::kGeluErf, &map_unary<GeluErf>},   {UnaryOp::kGeluTanh, &map_unary<GeluTanh>},
      {UnaryOp::kSwish, &map_unary<Swish>},       {UnaryOp::kErf, &map_unary<Erf>},
      {UnaryOp::kSin, &map_unary<Sin>},           {UnaryOp::kCos, &map_unary<Cos>},
      {UnaryOp::kFloor, &map_unary<Floor>},       {UnaryOp::kCeil, &map_unary<Ceil>},
      {UnaryOp::kRint, &map_unary<Rint>},         {UnaryOp::kSign, &map_unary<Sign>},
  };
  for (const Row& row : kRows) {
    if (row.op == op) return row.kernel;
  }
  return nullptr;
}

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
UnaryKernel find_unary_f32(UnaryOp op) { return TENON_BEST(unary_f32)(op); }
const char* simd_target() { return TENON_BEST(target_name)(); }
}  // namespace tenon::kernels
#endif
