// From sums to levels, in vectors. Included by *_simd.cc files once per instruction set; private to
// this folder.
#if defined(TENON_KERNELS_LEVEL_FINISH_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_LEVEL_FINISH_SIMD_INL_H
#undef TENON_KERNELS_LEVEL_FINISH_SIMD_INL_H
#else
#define TENON_KERNELS_LEVEL_FINISH_SIMD_INL_H
#endif

#include <cstring>
#include <type_traits>

#include "hwy/highway.h"
#include "tenon/kernels/simd/level_loops.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The products of even lanes, and of odd ones, in 64 bits.
template <class D32>
struct WideProducts {
  hn::Vec<hn::RepartitionToWide<hn::RebindToUnsigned<D32>>> even, odd;
};

template <class D32, class V32 = hn::Vec<D32>>
HWY_INLINE WideProducts<D32> wide_products(D32 d32, V32 a, V32 b) {
  const hn::RepartitionToWide<hn::RebindToUnsigned<D32>> d64;
  (void)d32;
  return {hn::BitCast(d64, hn::MulEven(a, b)),
          hn::BitCast(d64, hn::MulEven(hn::DupOdd(a), hn::DupOdd(b)))};
}

// The higher half of 2ab, b >= 0, rounded to nearest, halves up: bits 31 to 62 of ab + 2^30.
template <class D32, class V32 = hn::Vec<D32>>
HWY_INLINE V32 doubling_high(D32 d32, V32 a, V32 b) {
  const hn::RepartitionToWide<hn::RebindToUnsigned<D32>> d64;
  const auto half = hn::Set(d64, uint64_t{1} << 30);
  // By additions and moves: processors have more units for them than for shifts.
  const auto doubled = [=](auto product) HWY_ATTR {
    const auto rounded = hn::Add(product, half);
    return hn::BitCast(d32, hn::Add(rounded, rounded));
  };
  const WideProducts<D32> products = wide_products(d32, a, b);
  return hn::OddEven(doubled(products.odd), hn::DupOdd(doubled(products.even)));
}

// x / 2^n, rounded to nearest, halves away from zero: `down` is x >> n, `mask` 2^n - 1.
template <class D32, class V32 = hn::Vec<D32>>
HWY_INLINE V32 rounding_down(D32 d32, V32 x, V32 down, V32 mask) {
  const V32 rest = hn::And(x, mask);
  const V32 threshold = hn::Sub(hn::ShiftRight<1>(mask), hn::ShiftRight<31>(x));
  return hn::IfThenElse(hn::Gt(rest, threshold), hn::Add(down, hn::Set(d32, 1)), down);
}

// (ab + 2^(total - 1)) / 2^total, rounded down, b >= 0, total from 1 to 62. Arithmetic shifts of 64
// bits are not everywhere: 2^63 more, shifted, and what that makes taken off again.
template <class D32, class V32 = hn::Vec<D32>>
HWY_INLINE V32 scaled_once(D32 d32, V32 a, V32 b, V32 total) {
  const hn::RepartitionToWide<hn::RebindToUnsigned<D32>> d64;
  const auto one = hn::Set(d64, uint64_t{1});
  const auto top = hn::Set(d64, uint64_t{1} << 63);
  const auto scale = [=](auto product, auto count) {
    const auto half = one << hn::Sub(count, one);
    return hn::Sub(hn::Add(hn::Add(product, half), top) >> count, top >> count);
  };
  const WideProducts<D32> products = wide_products(d32, a, b);
  const auto counts = hn::BitCast(d64, total);
  const auto even = scale(products.even, hn::And(counts, hn::Set(d64, uint64_t{0xFFFFFFFF})));
  const auto odd = scale(products.odd, hn::ShiftRight<32>(counts));
  return hn::OddEven(hn::BitCast(d32, hn::ShiftLeft<32>(odd)), hn::BitCast(d32, even));
}

// Both narrowed, block by block `low` before `high`: Highway 1.0.3 has them the other way round on
// 32-bit ARM.
template <class D16, class V32>
HWY_INLINE hn::Vec<D16> joined(D16 d16, V32 low, V32 high) {
#if HWY_ARCH_ARM && !HWY_ARCH_ARM_A64
  return hn::ReorderDemote2To(d16, high, low);
#else
  return hn::ReorderDemote2To(d16, low, high);
#endif
}

// How the sums of some columns are finished; the fewest steps that a LevelFinish allows.
enum class FinishWay { kOnce, kLeft, kPlain, kHalved };

// The factors of a block of columns: as many as D16 has lanes, in the order of level_column().
template <class D16>
class BlockFinish {
 public:
  using D32 = hn::RepartitionToWide<D16>;
  using V16 = hn::Vec<D16>;
  using V32 = hn::Vec<D32>;

  HWY_INLINE BlockFinish(const LevelFinish& f, int64_t column)
      : low_half_(f, column),
        high_half_(f, column + static_cast<int64_t>(hn::Lanes(D32()))),
        zero_(hn::Set(D32(), f.zero)),
        least_(hn::Set(D32(), f.low)),
        most_(hn::Set(D32(), f.high)),
        zero_16_(hn::Set(D16(), static_cast<int16_t>(f.zero))),
        least_16_(hn::Set(D16(), static_cast<int16_t>(f.low))),
        most_16_(hn::Set(D16(), static_cast<int16_t>(f.high))) {}

  // The levels of a row's sums, in the order of the columns' places.
  template <FinishWay kWay>
  HWY_INLINE V16 levels(V32 low, V32 high) const {
    const D16 d16;
    if constexpr (kWay == FinishWay::kHalved) {
      // One bit is left to be shifted out. What saturates here is beyond levels of 8 bits.
      const V16 twice = joined(d16, doubled(low, low_half_), doubled(high, high_half_));
      const V16 rounded = hn::ShiftRight<1>(hn::SaturatedAdd(twice, hn::Set(d16, int16_t{1})));
      return hn::Min(hn::Max(hn::SaturatedAdd(rounded, zero_16_), least_16_), most_16_);
    } else {
      return joined(d16, level<kWay>(low, low_half_), level<kWay>(high, high_half_));
    }
  }

 private:
  struct Factors {
    HWY_INLINE Factors(const LevelFinish& f, int64_t column)
        : multiplier(hn::LoadU(D32(), f.multiplier + column)),
          left(f.left ? hn::LoadU(D32(), f.left + column) : hn::Zero(D32())),
          right(hn::LoadU(D32(), f.right + column)),
          mask(hn::LoadU(D32(), f.mask + column)),
          all_but_one(hn::Sub(right, hn::Set(D32(), 1))) {}
    V32 multiplier, left, right, mask, all_but_one;
  };

  template <FinishWay kWay>
  HWY_INLINE V32 level(V32 sum, const Factors& f) const {
    const D32 d32;
    if constexpr (kWay == FinishWay::kOnce) {
      sum = scaled_once(d32, sum, f.multiplier, f.right);
    } else {
      if constexpr (kWay == FinishWay::kLeft) sum = sum << f.left;
      sum = doubling_high(d32, sum, f.multiplier);
      sum = rounding_down(d32, sum, sum >> f.right, f.mask);
    }
    return hn::Min(hn::Max(hn::Add(sum, zero_), least_), most_);
  }

  // Twice the scaled sum before its last rounding: halves away from zero are halves up once
  // negative numbers are one less.
  HWY_INLINE V32 doubled(V32 sum, const Factors& f) const {
    sum = doubling_high(D32(), sum, f.multiplier);
    return hn::Add(sum, hn::ShiftRight<31>(sum)) >> f.all_but_one;
  }

  Factors low_half_, high_half_;
  V32 zero_, least_, most_;
  V16 zero_16_, least_16_, most_16_;
};

template <FinishWay kWay>
using Way = std::integral_constant<FinishWay, kWay>;

// Calls body(way) with the one that `f` and levels of T allow.
template <class T, class Body>
HWY_INLINE void with_way(const LevelFinish& f, const Body& body) {
  if (f.once) {
    body(Way<FinishWay::kOnce>());
  } else if (f.left) {
    body(Way<FinishWay::kLeft>());
  } else if (f.halves && sizeof(T) == 1) {
    body(Way<FinishWay::kHalved>());
  } else {
    body(Way<FinishWay::kPlain>());
  }
}

// The first `count` levels of a vector, which T holds.
template <class T, class D16>
HWY_INLINE void store_narrowed(D16 d16, hn::Vec<D16> levels, T* to, int64_t count) {
  const hn::Rebind<T, D16> d;
  const auto store = [&](auto narrow) HWY_ATTR {
    if (count >= static_cast<int64_t>(hn::Lanes(d16))) {
      hn::StoreU(narrow, d, to);
    } else {
      HWY_ALIGN T lanes[hn::MaxLanes(d16)];
      hn::Store(narrow, d, lanes);
      std::memcpy(to, lanes, static_cast<size_t>(count) * sizeof(T));
    }
  };
  if constexpr (sizeof(T) == 1) {
    store(hn::DemoteTo(d, levels));
  } else {
    store(levels);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
