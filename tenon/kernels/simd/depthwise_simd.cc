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
constexpr int kRowCells = 14;  // beside the taps of a filter's row
#else
constexpr int kDepthwiseVectors = 2;
constexpr int kRowCells = 7;
#endif
constexpr int kFewRowCells = 7;
constexpr int kDepthwiseCells = 6;
constexpr int kDepthwiseTaps = 5;

template <int kCells, int kVectors, bool kPart>
HWY_INLINE void depthwise_tile(const DepthwiseSizes& s, int64_t cell, int64_t c,
                               const float* const* rows, const float* weights, float* y) {
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
      const float* const from = rows[tap * s.table_row + cell + i] + c;
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
template <int kCells, int kVectors, bool kPart>
HWY_INLINE void last_depthwise_cells(const DepthwiseSizes& s, int64_t cell, int64_t c,
                                     const float* const* rows, const float* weights, float* y) {
  if constexpr (kCells > 1) {
    if (s.cells - cell == kCells - 1) {
      return depthwise_tile<kCells - 1, kVectors, kPart>(s, cell, c, rows, weights, y);
    }
    last_depthwise_cells<kCells - 1, kVectors, kPart>(s, cell, c, rows, weights, y);
  }
}

// Cells that read the same rows follow each other while these are in the cache.
template <int kVectors, bool kPart>
void depthwise_channels(const DepthwiseSizes& s, int64_t c, const float* const* rows,
                        const float* weights, float* y) {
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

void depthwise_sum(const DepthwiseSizes& s, const float* const* rows, const float* weights,
                   float* y) {
  for_channel_pieces(s.channels, 0, [&]<int kVectors, bool kPart>(int64_t c) {
    depthwise_channels<kVectors, kPart>(s, c, rows, weights, y);
  });
}

// A part of a row: `count` cells from `cell` on, whose taps begin at the input's cell `first`; of
// the inputs from there on, [begin, end) are there.
struct RowPart {
  int64_t cell, count, first, begin, end;
};

alignas(64) constexpr float kNoInput[kLanes] = {};

// Adds the inputs from kInput on to the cells that they meet. kInside: all are there.
template <int kInput, int kWidth, int kStep, int kCells, bool kInside, bool kPart>
HWY_INLINE void add_inputs(const RowPart& part, const float* source, int64_t row, int64_t channels,
                           const LanesVec (&factors)[kWidth], LanesVec (&sums)[kCells]) {
  if constexpr (kInput < (kCells - 1) * kStep + kWidth) {
    const float* from = source + kInput * row;
    if (!kInside && (kInput < part.begin || kInput >= part.end)) from = kNoInput;
    const LanesVec x = load<kPart>(from, channels);
    HWY_UNROLL(8)
    for (int t = 0; t < kWidth; ++t) {
      const int distance = kInput - t;
      if (distance < 0 || distance % kStep != 0 || distance / kStep >= kCells) continue;
      sums[distance / kStep] = hn::MulAdd(x, factors[t], sums[distance / kStep]);
    }
    add_inputs<kInput + 1, kWidth, kStep, kCells, kInside, kPart>(part, source, row, channels,
                                                                  factors, sums);
  }
}

// At most kCells cells, by one vector of channels.
template <int kWidth, int kStep, int kCells, bool kInside, bool kPart>
HWY_INLINE void row_tile(const DepthwiseRow& s, const RowPart& part, int64_t c,
                         const float* const* rows, const float* weights, float* y) {
  const Lanes d;
  const int64_t channels = s.channels - c;
  LanesVec sums[kCells];
  HWY_UNROLL(16)
  for (int i = 0; i < kCells; ++i) sums[i] = hn::Zero(d);
  for (int64_t r = 0; r < s.height; ++r) {
    if (!rows[r]) continue;
    LanesVec factors[kWidth];
    HWY_UNROLL(8)
    for (int t = 0; t < kWidth; ++t) {
      factors[t] = load<kPart>(weights + (r * kWidth + t) * s.row + c, channels);
    }
    add_inputs<0, kWidth, kStep, kCells, kInside, kPart>(part, rows[r] + part.first * s.row + c,
                                                         s.row, channels, factors, sums);
  }
  HWY_UNROLL(16)
  for (int i = 0; i < kCells; ++i) {
    if (i >= part.count) break;
    const int64_t to = (part.cell + i) * s.row + c;
    LanesVec sum = sums[i];
    if (s.finish) sum = finished<kPart>(sum, *s.finish, c, to, channels);
    store<kPart>(sum, y + to, channels);
  }
}

template <int kWidth, int kStep, int kCells, bool kPart>
void row_part(const DepthwiseRow& s, const RowPart& part, int64_t c, const float* const* rows,
              const float* weights, float* y) {
  if (part.begin == 0 && part.end == (kCells - 1) * kStep + kWidth) {
    return row_tile<kWidth, kStep, kCells, true, kPart>(s, part, c, rows, weights, y);
  }
  row_tile<kWidth, kStep, kCells, false, kPart>(s, part, c, rows, weights, y);
}

// The row falls into tiles of equal size, as near as may be.
template <int kWidth, int kStep, bool kPart>
void row_tiles(const DepthwiseRow& s, int64_t c, const float* const* rows, const float* weights,
               float* y) {
  // Vectors of four are seldom parts of one: not worth tiles of their own.
  constexpr int64_t kMost = kPart && kLanes <= 4 ? kFewRowCells : kRowCells;
  const int64_t tiles = (s.cells + kMost - 1) / kMost;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    RowPart part;
    part.cell = s.cells * tile / tiles;
    part.count = s.cells * (tile + 1) / tiles - part.cell;
    part.first = s.first + part.cell * kStep;
    part.begin = part.first < 0 ? -part.first : 0;
    const int64_t wanted = (part.count - 1) * kStep + kWidth, there = s.input_cells - part.first;
    part.end = there < wanted ? there : wanted;
    if (kMost > kFewRowCells && part.count > kFewRowCells) {
      row_part<kWidth, kStep, kMost, kPart>(s, part, c, rows, weights, y);
    } else {
      row_part<kWidth, kStep, kFewRowCells, kPart>(s, part, c, rows, weights, y);
    }
  }
}

template <int kWidth, int kStep>
void row_of_width(const DepthwiseRow& s, const float* const* rows, const float* weights, float* y) {
  int64_t c = 0;
  for (; c + kLanes <= s.channels; c += kLanes) {
    row_tiles<kWidth, kStep, false>(s, c, rows, weights, y);
  }
  if (c < s.channels) row_tiles<kWidth, kStep, true>(s, c, rows, weights, y);
}

template <int kStep>
void row_of_step(const DepthwiseRow& s, const float* const* rows, const float* weights, float* y) {
  if (s.width == 3) return row_of_width<3, kStep>(s, rows, weights, y);
  if (s.width == 5) return row_of_width<5, kStep>(s, rows, weights, y);
  row_of_width<7, kStep>(s, rows, weights, y);
}

void depthwise_sum_row(const DepthwiseRow& s, const float* const* rows, const float* weights,
                       float* y) {
  if (s.step == 1) return row_of_step<1>(s, rows, weights, y);
  row_of_step<2>(s, rows, weights, y);
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

void sum_cells_here(const DepthwiseSizes& s, const float* const* rows, const float* dy, bool add,
                    float* sums) {
  int64_t tap = 0;
  for (; tap + kDepthwiseTaps <= s.taps; tap += kDepthwiseTaps) {
    cells_taps<kDepthwiseTaps>(s, tap, rows, dy, add, sums);
  }
  last_cells_taps<kDepthwiseTaps>(s, tap, rows, dy, add, sums);
}

const DepthwiseLoops* depthwise_table() {
  static constexpr DepthwiseLoops kLoops = {&depthwise_sum, &depthwise_sum_row};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const DepthwiseLoops& depthwise_loops() { return *TENON_BEST(depthwise_table)(); }

void depthwise_sum_cells(const DepthwiseSizes& sizes, const float* const* rows, const float* dy,
                         bool add, float* sums) {
  TENON_BEST(sum_cells_here)(sizes, rows, dy, add, sums);
}
}  // namespace tenon::kernels
#endif
