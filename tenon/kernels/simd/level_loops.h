// The inner loops of products of levels (quantised integers), on one thread. Private to kernels/.
//
// All sums are in 32 bits and wrap, so their order does not matter. Terms stand in groups of four
// bytes: two of 16 bits ("pairs") or four of 8 ("quads", the left ones unsigned, the right ones
// signed).
#pragma once

#include <cstdint>

namespace tenon::kernels {

// What becomes of a sum: sum * multiplier * 2^(shift - 31), rounded; + zero; within [low, high].
// Arrays hold a value for each column and can be read up to whole vectors. Rounded twice
// (gemmlowp's way): `left` bits up first, the higher half of the doubled product, `right` bits
// down, of which `mask` is 2^right - 1. Rounded once: `right` is 31 - shift, the others are unused.
struct LevelFinish {
  const int32_t* multiplier = nullptr;
  const int32_t* left = nullptr;  // null: no column has any
  const int32_t* right = nullptr;
  const int32_t* mask = nullptr;
  bool once = false;
  bool halves = false;  // `right` is at least 1 in all columns
  int32_t zero = 0, low = 0, high = 0;
};

// Rows of the left operand meet one panel of the right one, whose columns are whole vectors: blocks
// of two, a last one of one where their number is odd, each by level_column().
struct LevelTile {
  int64_t m = 0;
  int64_t n = 0;         // columns of y, at most LevelLoops::panel
  int64_t groups = 0;    // of terms
  int64_t a_row = 0;     // bytes from one row to the next
  bool padded = false;   // rows of a can be read up to the next multiple of kLevelRows
  int64_t y_row = 0;     // elements from one row to the next
  int64_t sums_row = 0;  // of sum_rows
};
inline constexpr int64_t kLevelRows = 24;

// Cells that read their taps at equal distances.
struct LevelDepthwise {
  int64_t cells = 0;
  int64_t channels = 0;
  int64_t pairs = 0;  // of taps
  int64_t step = 0;   // elements of x from a cell to the next
};

// Operands of one kind of products, to T's: int8, uint8, int16.
struct LevelProducts {
  // y = finish(bias + a * b)
  void (*to_int8)(const LevelTile&, const LevelFinish&, const void* a, const void* b,
                  const int32_t* bias, void* y);
  void (*to_uint8)(const LevelTile&, const LevelFinish&, const void* a, const void* b,
                   const int32_t* bias, void* y);
  void (*to_int16)(const LevelTile&, const LevelFinish&, const void* a, const void* b,
                   const int32_t* bias, void* y);
  // sums[m, n padded] = a * b
  void (*sum_rows)(const LevelTile&, const void* a, const void* b, int32_t* sums);
};

using LevelDepthwiseLoop = void (*)(const LevelDepthwise&, const LevelFinish&,
                                    const void* const* taps, const int16_t* weights,
                                    const int32_t* bias, void* y);

struct LevelLoops {
  int64_t lanes = 0;  // that columns are filled up to a multiple of
  int64_t block = 0;  // columns of two vectors
  int64_t panel = 0;  // columns that are summed at once
  LevelProducts pairs, quads;
  bool has_quads = false;
  // y[cell, c] = finish(bias[c] + sum over taps of taps[tap][cell * step + c] * weights[tap, c]).
  // Channels stand in blocks of depthwise_block(channels), the last one moved back so that it ends
  // with the channels, and in a block by level_column(); weights are [block, pair, channel,
  // tap of the pair], bias and finish [block, channel].
  LevelDepthwiseLoop depthwise_int8 = nullptr, depthwise_uint8 = nullptr, depthwise_int16 = nullptr;

  int64_t depthwise_block(int64_t channels) const {
    int64_t width = 8;
    while (width < channels && width < block) width *= 2;
    return width;
  }
};

// Which of a block's columns or channels, as many as a vector of 16 bits has lanes, stands at
// `place`: what two vectors of 32 bits hold in this order, narrowing joins in the natural one, 128
// bits at a time.
inline int64_t level_column(int64_t block, int64_t place) {
  if (block < 8) return place;
  const int64_t half = place / (block / 2), rest = place % (block / 2);
  return rest / 4 * 8 + half * 4 + rest % 4;
}

const LevelLoops& level_loops();

}  // namespace tenon::kernels
