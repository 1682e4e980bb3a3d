// pool_loops.h, compiled once per instruction set and chosen at run time.
#include <limits>

#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/pool_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/pool_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Calls body(tag, channel) for whole vectors of channels, then for the rest one at a time.
template <class Body>
HWY_INLINE void for_channels(int64_t channels, Body body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) body(d, c);
  for (; c < channels; ++c) body(hn::CappedTag<float, 1>(), c);
}

void maximum_of_windows(const WindowRow& row, const float* x, float* y) {
  const int64_t* offsets = row.offsets.data();
  const size_t cells = row.offsets.size();
  for (int64_t j = 0; j < row.windows; ++j, x += row.step, y += row.channels) {
    for_channels(row.channels, [=](auto d, int64_t c) {
      auto best = hn::Set(d, std::numeric_limits<float>::lowest());
      for (size_t cell = 0; cell < cells; ++cell) {
        const auto value = hn::LoadU(d, x + offsets[cell] + c);
        best = hn::IfThenElse(hn::Lt(best, value), value, best);  // a NaN is never taken
      }
      hn::StoreU(best, d, y + c);
    });
  }
}

void maximum_of_volumes(const WindowRow& row, const float* x, float* y) {
  const int64_t* offsets = row.offsets.data();
  const size_t cells = row.offsets.size();
  for (int64_t j = 0; j < row.windows; ++j, x += row.step, y += row.channels) {
    for_channels(row.channels, [=](auto d, int64_t c) {
      auto best = hn::LoadU(d, x + offsets[0] + c);
      for (size_t cell = 1; cell < cells; ++cell) {
        const auto value = hn::LoadU(d, x + offsets[cell] + c);
        best = hn::IfThenElse(hn::Lt(value, best), best, value);
      }
      hn::StoreU(best, d, y + c);
    });
  }
}

template <bool kAdd>
HWY_INLINE void gradient_of_windows(const WindowRow& row, const float* x, const float* best,
                                    const float* dy, float* dx) {
  const int64_t* offsets = row.offsets.data();
  const size_t cells = row.offsets.size();
  if (cells == 0) return;
  for (int64_t j = 0; j < row.windows; ++j) {
    for_channels(row.channels, [=](auto d, int64_t c) {
      const auto wanted = hn::LoadU(d, best + c);
      auto pending = hn::LoadU(d, dy + c);
      for (size_t cell = 0; cell < cells; ++cell) {
        const int64_t at = offsets[cell] + c;
        const auto here = hn::LoadU(d, x + at);
        auto hit = hn::Eq(here, wanted);
        if (cell == 0) hit = hn::Or(hit, hn::IsNaN(here));
        auto value = hn::IfThenElseZero(hit, pending);
        if (kAdd) value = hn::Add(hn::LoadU(d, dx + at), value);
        hn::StoreU(value, d, dx + at);
        pending = hn::IfThenZeroElse(hit, pending);
      }
      if (!hn::AllTrue(d, hn::Eq(pending, hn::Zero(d)))) {
        float* first = dx + offsets[0] + c;
        hn::StoreU(hn::Add(hn::LoadU(d, first), pending), d, first);
      }
    });
    x += row.step;
    dx += row.step;
    best += row.channels;
    dy += row.channels;
  }
}

void add_to_all(const WindowRow& row, const float* x, const float* best, const float* dy,
                float* dx) {
  for (int64_t j = 0; j < row.windows; ++j) {
    for_channels(row.channels, [=](auto d, int64_t c) {
      const auto wanted = hn::LoadU(d, best + c), given = hn::LoadU(d, dy + c);
      for (const int64_t offset : row.offsets) {
        const int64_t at = offset + c;
        const auto distance = hn::Abs(hn::Sub(hn::LoadU(d, x + at), wanted));
        const auto hit = hn::Lt(distance, hn::Set(d, kVolumeTolerance));
        hn::StoreU(hn::Add(hn::LoadU(d, dx + at), hn::IfThenElseZero(hit, given)), d, dx + at);
      }
    });
    x += row.step;
    dx += row.step;
    best += row.channels;
    dy += row.channels;
  }
}
void pass_to_maximum(const WindowRow& row, const float* x, const float* best, const float* dy,
                     float* dx) {
  gradient_of_windows<false>(row, x, best, dy, dx);
}
void add_to_maximum(const WindowRow& row, const float* x, const float* best, const float* dy,
                    float* dx) {
  gradient_of_windows<true>(row, x, best, dy, dx);
}

const PoolLoops* pool_table() {
  static constexpr PoolLoops kLoops = {&maximum_of_windows, &maximum_of_volumes, &pass_to_maximum,
                                       &add_to_maximum, &add_to_all};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const PoolLoops& pool_loops() { return *TENON_BEST(pool_table)(); }
}  // namespace tenon::kernels
#endif
