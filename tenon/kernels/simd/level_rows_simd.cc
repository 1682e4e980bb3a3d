// level_rows.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/level_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/level_rows_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/level_finish_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Wide = hn::CappedTag<int32_t, 16>;
using WideVec = hn::Vec<Wide>;
constexpr int64_t kWideLanes = hn::MaxLanes(Wide());

// `count` levels, at most a vector of them, or one for all lanes where step is 0.
template <class T>
HWY_INLINE WideVec load_levels(const T* from, int64_t step, int64_t count) {
  const Wide d;
  const hn::Rebind<T, Wide> narrow;
  if (step == 0) return hn::Set(d, static_cast<int32_t>(*from));
  if (count >= kWideLanes) return hn::PromoteTo(d, hn::LoadU(narrow, from));
  HWY_ALIGN T lanes[kWideLanes] = {};
  std::memcpy(lanes, from, static_cast<size_t>(count) * sizeof(T));
  return hn::PromoteTo(d, hn::Load(narrow, lanes));
}

// The first `count` levels of a vector, which T holds.
template <class T, class D32>
HWY_INLINE void store_levels(D32 d32, hn::Vec<D32> levels, int64_t count, T* to) {
  const hn::Rebind<T, D32> d;
  const auto narrow = hn::DemoteTo(d, levels);
  if (count >= static_cast<int64_t>(hn::Lanes(d32))) {
    hn::StoreU(narrow, d, to);
  } else {
    HWY_ALIGN T lanes[hn::MaxLanes(d)];
    hn::Store(narrow, d, lanes);
    std::memcpy(to, lanes, static_cast<size_t>(count) * sizeof(T));
  }
}

struct FactorVec {
  WideVec multiplier, mask;
  int left, right;
};

HWY_INLINE FactorVec factor_vec(LevelFactor factor) {
  const Wide d;
  const int right = factor.shift < 0 ? -factor.shift : 0;
  return {hn::Set(d, factor.multiplier),
          hn::Set(d, static_cast<int32_t>((int64_t{1} << right) - 1)),
          factor.shift > 0 ? factor.shift : 0, right};
}

HWY_INLINE WideVec scaled_by(WideVec x, const FactorVec& f) {
  const Wide d;
  x = doubling_high(d, hn::ShiftLeftSame(x, f.left), f.multiplier);
  return rounding_down(d, x, hn::ShiftRightSame(x, f.right), f.mask);
}

template <LevelBinaryKind kKind>
HWY_INLINE WideVec combined(WideVec a, WideVec b, int left_shift, const FactorVec& fa,
                            const FactorVec& fb) {
  if constexpr (kKind == LevelBinaryKind::kMultiply) return hn::Mul(a, b);
  a = scaled_by(hn::ShiftLeftSame(a, left_shift), fa);
  b = scaled_by(hn::ShiftLeftSame(b, left_shift), fb);
  if constexpr (kKind == LevelBinaryKind::kAdd) return hn::Add(a, b);
  const WideVec difference = hn::Sub(a, b);
  if constexpr (kKind == LevelBinaryKind::kSubtract) return difference;
  return hn::Mul(difference, difference);
}

template <class T, LevelBinaryKind kKind>
void binary_levels(const LevelBinary& s, const void* a, int64_t a_step, const void* b,
                   int64_t b_step, int64_t count, void* y) {
  const Wide d;
  const WideVec zero_a = hn::Set(d, s.zero_a), zero_b = hn::Set(d, s.zero_b);
  const WideVec zero_y = hn::Set(d, s.zero_y);
  const WideVec low = hn::Set(d, s.low), high = hn::Set(d, s.high);
  const FactorVec fa = factor_vec(s.a), fb = factor_vec(s.b), fy = factor_vec(s.y);
  for (int64_t i = 0; i < count; i += kWideLanes) {
    const WideVec left = load_levels(static_cast<const T*>(a) + i * a_step, a_step, count - i);
    const WideVec right = load_levels(static_cast<const T*>(b) + i * b_step, b_step, count - i);
    WideVec sum =
        combined<kKind>(hn::Sub(left, zero_a), hn::Sub(right, zero_b), s.left_shift, fa, fb);
    sum = hn::Add(scaled_by(sum, fy), zero_y);
    store_levels(d, hn::Min(hn::Max(sum, low), high), count - i, static_cast<T*>(y) + i);
  }
}

template <class T>
LevelBinaryLoop loop_of(LevelBinaryKind kind) {
  switch (kind) {
    case LevelBinaryKind::kAdd:
      return &binary_levels<T, LevelBinaryKind::kAdd>;
    case LevelBinaryKind::kSubtract:
      return &binary_levels<T, LevelBinaryKind::kSubtract>;
    case LevelBinaryKind::kSquaredDifference:
      return &binary_levels<T, LevelBinaryKind::kSquaredDifference>;
    case LevelBinaryKind::kMultiply:
      return &binary_levels<T, LevelBinaryKind::kMultiply>;
  }
  return nullptr;
}

LevelBinaryLoop binary_loop(LevelBinaryKind kind, DType dtype) {
  if (dtype == DType::kInt8) return loop_of<int8_t>(kind);
  return dtype == DType::kUint8 ? loop_of<uint8_t>(kind) : loop_of<int16_t>(kind);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
LevelBinaryLoop level_binary_loop(const LevelBinary& s) {
  return TENON_BEST(binary_loop)(s.kind, s.dtype);
}
}  // namespace tenon::kernels
#endif
