// Vectors of at most 16 float32 lanes and what is done to a result before it is stored. Included by
// *_simd.cc files once per instruction set; private to this folder.
#if defined(TENON_KERNELS_TILE_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_TILE_SIMD_INL_H
#undef TENON_KERNELS_TILE_SIMD_INL_H
#else
#define TENON_KERNELS_TILE_SIMD_INL_H
#endif

#include "hwy/highway.h"
#include "tenon/kernels/simd/part_simd-inl.h"
#include "tenon/kernels/simd/product_loops.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::CappedTag<float, 16>;
using LanesVec = hn::Vec<Lanes>;
constexpr int64_t kLanes = hn::MaxLanes(Lanes());

// A vector, or its first `columns` lanes.
template <bool kPart>
HWY_INLINE LanesVec load(const float* from, int64_t columns) {
  if constexpr (kPart) return load_first(Lanes(), from, columns);
  return hn::LoadU(Lanes(), from);
}
template <bool kPart>
HWY_INLINE void store(LanesVec value, float* to, int64_t columns) {
  if constexpr (kPart) {
    store_first(value, Lanes(), columns, to);
  } else {
    hn::StoreU(value, Lanes(), to);
  }
}

template <bool kPart>
HWY_INLINE LanesVec finished(LanesVec sum, const TileFinish& f, int64_t column, int64_t at,
                             int64_t columns) {
  const Lanes d;
  if (f.bias) sum = hn::Add(sum, load<kPart>(f.bias + column, columns));
  if (f.residual) sum = hn::Add(sum, load<kPart>(f.residual + at, columns));
  const LanesVec low = hn::Set(d, f.limits.low);
  const LanesVec high = hn::Set(d, f.limits.high);
  sum = hn::IfThenElse(hn::Lt(sum, low), low, sum);
  return hn::IfThenElse(hn::Gt(sum, high), high, sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
