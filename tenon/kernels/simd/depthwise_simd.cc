// depthwise_loops.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/depthwise_loops.h"
#include "tenon/kernels/simd/dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/depthwise_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/tile_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Sums that fill the registers: cells by vectors of channels, and taps by vectors.
#if HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM
constexpr int kDepthwiseVectors = 4;
#else
constexpr int kDepthwiseVectors = 2;
#endif
constexpr int kDepthwiseCells = 6;
constexpr int kDepthwiseTaps = 5;

// Where a cell's channels lie for a tap.
struct TableRows {
  const float* const* rows;
  int64_t table_row;
  HWY_INLINE const float* at(int64_t tap, int64_t cell) const {
    return rows[tap * table_row + cell];
  }
};
struct SpacedRows {
  const float* const* rows;
  int64_t distance;
  HWY_INLINE const float* at(int64_t tap, int64_t cell) const {
    return rows[tap] + cell * distance;
  }
};

template <int kCells, int kVectors, bool kPart, class Rows>
HWY_INLINE void depthwise_tile(const DepthwiseSizes& s, int64_t cell, int64_t c, const Rows& rows,
                               const float* weights, float* y) {
  const Lanes d;
  const int64_t channels = s.channels - c;
  LanesVec sums[kCells][kVectors];
  HWY_UNROLL(6)
  for (int i = 0; i < kCells; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sums[i][v] = hn::Zero(d);
  }
  const float* weight = weights + c;
  for (int64_t tap = 0; tap < s.taps; ++tap, weight += s.row) {
    LanesVec factors[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) factors[v] = load<kPart>(weight + v * kLanes, channels);
    HWY_UNROLL(6)
    for (int i = 0; i < kCells; ++i) {
      const float* const from = rows.at(tap, cell + i) + c;
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = hn::MulAdd(load<kPart>(from + v * kLanes, channels), factors[v], sums[i][v]);
      }
    }
  }
  HWY_UNROLL(6)
  for (int i = 0; i < kCells; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      const int64_t to = (cell + i) * s.row + c + v * kLanes;
      LanesVec sum = sums[i][v];
      if (s.finish) sum = finished<kPart>(sum, *s.finish, c + v * kLanes, to, channels);
      store<kPart>(sum, y + to, channels);
    }
  }
}

// The last cells, fewer than kCells.
template <int kCells, int kVectors, bool kPart, class Rows>
HWY_INLINE void last_depthwise_cells(const DepthwiseSizes& s, int64_t cell, int64_t c,
                                     const Rows& rows, const float* weights, float* y) {
  if constexpr (kCells > 1) {
    if (s.cells - cell == kCells - 1) {
      return depthwise_tile<kCells - 1, kVectors, kPart>(s, cell, c, rows, weights, y);
    }
    last_depthwise_cells<kCells - 1, kVectors, kPart>(s, cell, c, rows, weights, y);
  }
}

// Cells that read the same rows follow each other while these are in the cache.
template <int kVectors, bool kPart, class Rows>
void depthwise_channels(const DepthwiseSizes& s, int64_t c, const Rows& rows, const float* weights,
                        float* y) {
  int64_t cell = 0;
  for (; cell + kDepthwiseCells <= s.cells; cell += kDepthwiseCells) {
    depthwise_tile<kDepthwiseCells, kVectors, kPart>(s, cell, c, rows, weights, y);
  }
  last_depthwise_cells<kDepthwiseCells, kVectors, kPart>(s, cell, c, rows, weights, y);
}

// Calls body.operator()<vectors, part>(channel) for pieces of the channels: whole vectors, as many
// at once as there are registers for, then the rest.
template <int kVectors = kDepthwiseVectors, class Body>
HWY_INLINE void for_channel_pieces(int64_t channels, int64_t c, Body body) {
  for (; c + kVectors * kLanes <= channels; c += kVectors * kLanes) {
    body.template operator()<kVectors, false>(c);
  }
  if constexpr (kVectors > 1) {
    for_channel_pieces<kVectors - 1>(channels, c, body);
  } else if (c < channels) {
    body.template operator()<1, true>(c);
  }
}

template <class Rows>
HWY_INLINE void sum_of_rows(const DepthwiseSizes& s, const Rows& rows, const float* weights,
                            float* y) {
  for_channel_pieces(s.channels, 0, [&]<int kVectors, bool kPart>(int64_t c) {
    depthwise_channels<kVectors, kPart>(s, c, rows, weights, y);
  });
}

void depthwise_sum(const DepthwiseSizes& s, const float* const* rows, const float* weights,
                   float* y) {
  sum_of_rows(s, TableRows{rows, s.table_row}, weights, y);
}

void depthwise_sum_spaced(const DepthwiseSizes& s, const float* const* rows, int64_t distance,
                          const float* weights, float* y) {
  sum_of_rows(s, SpacedRows{rows, distance}, weights, y);
}

// kTaps taps from `tap` on, by kVectors vectors of channels.
template <int kTaps, int kVectors, bool kPart>
HWY_INLINE void cells_tile(const DepthwiseSizes& s, int64_t tap, int64_t c,
                           const float* const* rows, const float* dy, bool add, float* sums) {
  const Lanes d;
  const int64_t channels = s.channels - c;
  float* const to = sums + tap * s.row + c;
  LanesVec totals[kTaps][kVectors];
  HWY_UNROLL(5)
  for (int t = 0; t < kTaps; ++t) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      totals[t][v] = add ? load<kPart>(to + t * s.row + v * kLanes, channels) : hn::Zero(d);
    }
  }
  const float* const* at = rows + tap * s.table_row;
  for (int64_t cell = 0; cell < s.cells; ++cell) {
    LanesVec factors[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      factors[v] = load<kPart>(dy + cell * s.row + c + v * kLanes, channels);
    }
    HWY_UNROLL(5)
    for (int t = 0; t < kTaps; ++t) {
      const float* const from = at[t * s.table_row + cell] + c;
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        totals[t][v] =
            hn::MulAdd(load<kPart>(from + v * kLanes, channels), factors[v], totals[t][v]);
      }
    }
  }
  HWY_UNROLL(5)
  for (int t = 0; t < kTaps; ++t) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      store<kPart>(totals[t][v], to + t * s.row + v * kLanes, channels);
    }
  }
}

template <int kTaps>
void cells_taps(const DepthwiseSizes& s, int64_t tap, const float* const* rows, const float* dy,
                bool add, float* sums) {
  for_channel_pieces(s.channels, 0, [&]<int kVectors, bool kPart>(int64_t c) {
    cells_tile<kTaps, kVectors, kPart>(s, tap, c, rows, dy, add, sums);
  });
}

// The last taps, fewer than kTaps.
template <int kTaps>
void last_cells_taps(const DepthwiseSizes& s, int64_t tap, const float* const* rows,
                     const float* dy, bool add, float* sums) {
  if constexpr (kTaps > 1) {
    if (s.taps - tap == kTaps - 1) return cells_taps<kTaps - 1>(s, tap, rows, dy, add, sums);
    last_cells_taps<kTaps - 1>(s, tap, rows, dy, add, sums);
  }
}

void depthwise_sum_cells(const DepthwiseSizes& s, const float* const* rows, const float* dy,
                         bool add, float* sums) {
  int64_t tap = 0;
  for (; tap + kDepthwiseTaps <= s.taps; tap += kDepthwiseTaps) {
    cells_taps<kDepthwiseTaps>(s, tap, rows, dy, add, sums);
  }
  last_cells_taps<kDepthwiseTaps>(s, tap, rows, dy, add, sums);
}

const DepthwiseLoops* depthwise_table() {
  static constexpr DepthwiseLoops kLoops = {&depthwise_sum, &depthwise_sum_spaced,
                                            &depthwise_sum_cells};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const DepthwiseLoops& depthwise_loops() { return *TENON_BEST(depthwise_table)(); }
}  // namespace tenon::kernels
#endif
