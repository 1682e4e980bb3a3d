// Vectors of which memory holds only the first lanes. Included by *_simd.cc files once per
// instruction set; private to this folder.
#if defined(TENON_KERNELS_PART_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_PART_SIMD_INL_H
#undef TENON_KERNELS_PART_SIMD_INL_H
#else
#define TENON_KERNELS_PART_SIMD_INL_H
#endif

#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The first `count` lanes, fewer than all, of memory that ends there; the others get `fill`.
template <class D>
HWY_INLINE hn::Vec<D> load_first(D d, const float* x, int64_t count, float fill = 0.0f) {
  const auto rest = hn::Set(d, fill);
#if HWY_TARGET <= HWY_AVX2  // masked lanes are not read
  const auto mask = hn::FirstN(d, static_cast<size_t>(count));
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, x), rest);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  hn::Store(rest, d, lanes);
  std::memcpy(lanes, x, static_cast<size_t>(count) * sizeof(float));
  return hn::Load(d, lanes);
#endif
}

template <class D>
HWY_INLINE void store_first(hn::Vec<D> v, D d, int64_t count, float* y) {
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, y);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  std::memcpy(y, lanes, static_cast<size_t>(count) * sizeof(float));
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
