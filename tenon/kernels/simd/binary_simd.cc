// float32 binary kernels, compiled once per instruction set and chosen at run time.
#include <cstring>

#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/elementwise_f32.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/binary_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/math_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

using FloatMask = hn::Mask<FloatTag>;

HWY_INLINE void store_result(FloatTag d, FloatVec y, float* to) { hn::StoreU(y, d, to); }
HWY_INLINE void store_result(FloatTag d, FloatMask mask, bool* to) {
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<uint8_t, FloatTag> du8;
  const auto ones = hn::BitCast(di, hn::IfThenElseZero(mask, hn::BitCast(d, hn::Set(di, 1))));
  hn::StoreU(hn::DemoteTo(du8, ones), du8, reinterpret_cast<uint8_t*>(to));
}

template <bool kOne>
HWY_INLINE FloatVec load_operand(FloatTag d, const float* x, int64_t i) {
  if constexpr (kOne) {
    return hn::Set(d, *x);
  } else {
    return hn::LoadU(d, x + i);
  }
}

// The tail goes through the same vector code as the rest, so position does not change bits.
template <class Op, bool kOneA, bool kOneB, class Result>
void map_operands(const float* a, const float* b, Result* y, int64_t count) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    store_result(d, Op::run(d, load_operand<kOneA>(d, a, i), load_operand<kOneB>(d, b, i)), y + i);
  }
  if (i == count) return;
  const auto rest = static_cast<size_t>(count - i);
  HWY_ALIGN float a_tail[hn::MaxLanes(d)] = {};
  HWY_ALIGN float b_tail[hn::MaxLanes(d)] = {};
  HWY_ALIGN Result y_tail[hn::MaxLanes(d)];
  std::memcpy(a_tail, kOneA ? a : a + i, (kOneA ? 1 : rest) * sizeof(float));
  std::memcpy(b_tail, kOneB ? b : b + i, (kOneB ? 1 : rest) * sizeof(float));
  store_result(d, Op::run(d, load_operand<kOneA>(d, a_tail, 0), load_operand<kOneB>(d, b_tail, 0)),
               y_tail);
  std::memcpy(y + i, y_tail, rest * sizeof(Result));
}

template <class Op>
void map_binary(const void* a, int64_t a_step, const void* b, int64_t b_step, void* y,
                int64_t count) {
  using Result = typename Op::Result;
  const float* x0 = static_cast<const float*>(a);
  const float* x1 = static_cast<const float*>(b);
  Result* to = static_cast<Result*>(y);
  if (a_step != 0) {
    return b_step != 0 ? map_operands<Op, false, false>(x0, x1, to, count)
                       : map_operands<Op, false, true>(x0, x1, to, count);
  }
  return b_step != 0 ? map_operands<Op, true, false>(x0, x1, to, count)
                     : map_operands<Op, true, true>(x0, x1, to, count);
}

#define TENON_BINARY_F32(name, expression)                               \
  struct name {                                                          \
    using Result = float;                                                \
    HWY_INLINE static FloatVec run(FloatTag d, FloatVec a, FloatVec b) { \
      static_cast<void>(d);                                              \
      return expression;                                                 \
    }                                                                    \
  };
#define TENON_COMPARE_F32(name, expression)                                                    \
  struct name {                                                                                \
    using Result = bool;                                                                       \
    HWY_INLINE static FloatMask run(FloatTag, FloatVec a, FloatVec b) { return (expression); } \
  };
// Either NaN gives NaN; a + b is one then.
TENON_BINARY_F32(Maximum, hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::IsNaN(b)), hn::Add(a, b),
                                         hn::IfThenElse(hn::Lt(a, b), b, a)))
TENON_BINARY_F32(Minimum, hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::IsNaN(b)), hn::Add(a, b),
                                         hn::IfThenElse(hn::Gt(a, b), b, a)))
TENON_BINARY_F32(Add, hn::Add(a, b))
TENON_BINARY_F32(Sub, hn::Sub(a, b))
TENON_BINARY_F32(Mul, hn::Mul(a, b))
TENON_BINARY_F32(Div, hn::Div(a, b))
TENON_BINARY_F32(DivNoNan, hn::IfThenElse(hn::Eq(b, hn::Zero(d)), hn::Zero(d), hn::Div(a, b)))
TENON_BINARY_F32(MulNoNan, hn::IfThenElse(hn::Eq(b, hn::Zero(d)), hn::Zero(d), hn::Mul(a, b)))
TENON_BINARY_F32(SquaredDifference, hn::Mul(hn::Sub(a, b), hn::Sub(a, b)))
TENON_BINARY_F32(FloorDiv, hn::Floor(hn::Div(a, b)))
TENON_COMPARE_F32(Eq, hn::Eq(a, b))
// hn::Ne is false for NaN on AVX2.
TENON_COMPARE_F32(Ne, hn::Not(hn::Eq(a, b)))
TENON_COMPARE_F32(Lt, hn::Lt(a, b))
TENON_COMPARE_F32(Le, hn::Le(a, b))
TENON_COMPARE_F32(Gt, hn::Gt(a, b))
TENON_COMPARE_F32(Ge, hn::Ge(a, b))
// Gradients: (y, dy).
TENON_BINARY_F32(TanhGrad, hn::Mul(b, hn::Sub(hn::Set(d, 1.0f), hn::Mul(a, a))))
TENON_BINARY_F32(SigmoidGrad, hn::Mul(hn::Mul(b, a), hn::Sub(hn::Set(d, 1.0f), a)))
// A gradient of 0 stays 0 where the derivative is not finite.
TENON_BINARY_F32(SqrtGrad, hn::IfThenZeroElse(hn::Eq(b, hn::Zero(d)),
                                              hn::Div(hn::Mul(b, hn::Set(d, 0.5f)), a)))
TENON_BINARY_F32(RsqrtGrad, hn::IfThenZeroElse(hn::Eq(b, hn::Zero(d)),
                                               hn::Mul(hn::Mul(hn::Mul(b, hn::Set(d, -0.5f)), a),
                                                       hn::Mul(a, a))))
TENON_BINARY_F32(ReciprocalGrad,
                 hn::IfThenZeroElse(hn::Eq(b, hn::Zero(d)), hn::Neg(hn::Mul(b, hn::Mul(a, a)))))
// Gradients: (dy, x or y). A product with 1 or 0, so that NaN and infinity of dy are seen.
TENON_BINARY_F32(ReluGrad, hn::Mul(a, hn::IfThenElseZero(hn::Gt(b, hn::Zero(d)), hn::Set(d, 1.0f))))
TENON_BINARY_F32(Relu6Grad, hn::Mul(a, hn::IfThenElseZero(hn::And(hn::Gt(b, hn::Zero(d)),
                                                                  hn::Lt(b, hn::Set(d, 6.0f))),
                                                          hn::Set(d, 1.0f))))
TENON_BINARY_F32(EluGrad, hn::IfThenElse(hn::Lt(b, hn::Zero(d)),
                                         hn::Mul(a, hn::Add(b, hn::Set(d, 1.0f))), a))
TENON_BINARY_F32(SeluGrad,
                 hn::IfThenElse(hn::Lt(b, hn::Zero(d)),
                                hn::Mul(a, hn::Add(b, hn::Set(d, 1.7580993408473768599f))),
                                hn::Mul(a, hn::Set(d, 1.0507009873554804934f))))
TENON_BINARY_F32(SoftplusGrad, hn::Mul(a, sigmoid_f32(d, b)))
TENON_BINARY_F32(SoftsignGrad, hn::Div(a, hn::Mul(hn::Add(hn::Set(d, 1.0f), hn::Abs(b)),
                                                  hn::Add(hn::Set(d, 1.0f), hn::Abs(b)))))
#undef TENON_BINARY_F32
#undef TENON_COMPARE_F32

BinaryKernel binary_f32(BinaryOp op) {
  struct Row {
    BinaryOp op;
    BinaryKernel kernel;
  };
  static constexpr Row kRows[] = {
      {BinaryOp::kAdd, &map_binary<Add>},
      {BinaryOp::kSub, &map_binary<Sub>},
      {BinaryOp::kMul, &map_binary<Mul>},
      {BinaryOp::kDiv, &map_binary<Div>},
      {BinaryOp::kDivNoNan, &map_binary<DivNoNan>},
      {BinaryOp::kMulNoNan, &map_binary<MulNoNan>},
      {BinaryOp::kMaximum, &map_binary<Maximum>},
      {BinaryOp::kMinimum, &map_binary<Minimum>},
      {BinaryOp::kSquaredDifference, &map_binary<SquaredDifference>},
      {BinaryOp::kFloorDiv, &map_binary<FloorDiv>},
      {BinaryOp::kEqual, &map_binary<Eq>},
      {BinaryOp::kNotEqual, &map_binary<Ne>},
      {BinaryOp::kLess, &map_binary<Lt>},
      {BinaryOp::kLessEqual, &map_binary<Le>},
      {BinaryOp::kGreater, &map_binary<Gt>},
      {BinaryOp::kGreaterEqual, &map_binary<Ge>},
      {BinaryOp::kTanhGrad, &map_binary<TanhGrad>},
      {BinaryOp::kSigmoidGrad, &map_binary<SigmoidGrad>},
      {BinaryOp::kSqrtGrad, &map_binary<SqrtGrad>},
      {BinaryOp::kRsqrtGrad, &map_binary<RsqrtGrad>},
      {BinaryOp::kReciprocalGrad, &map_binary<ReciprocalGrad>},
      {BinaryOp::kReluGrad, &map_binary<ReluGrad>},
      {BinaryOp::kRelu6Grad, &map_binary<Relu6Grad>},
      {BinaryOp::kEluGrad, &map_binary<EluGrad>},
      {BinaryOp::kSeluGrad, &map_binary<SeluGrad>},
      {BinaryOp::kSoftplusGrad, &map_binary<SoftplusGrad>},
      {BinaryOp::kSoftsignGrad, &map_binary<SoftsignGrad>},
  };
  for (const Row& row : kRows) {
    if (row.op == op) return row.kernel;
  }
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
BinaryKernel find_binary_f32(BinaryOp op) { return TENON_BEST(binary_f32)(op); }
}  // namespace tenon::kernels
#endif
