// The inner loops of depthwise convolutions over channels-last float32 values, on one thread.
// Private to this folder.
//
// rows[tap * table_row + cell]: where the channels lie that a cell reads for a tap. Each result is
// summed in the order of its terms by one accumulator.
#pragma once

#include "tenon/kernels/simd/product_loops.h"

namespace tenon::kernels {

struct DepthwiseSizes {
  int64_t cells = 0;
  int64_t channels = 0;
  int64_t taps = 0;
  int64_t table_row = 0;
  int64_t row = 0;                     // values from one cell, or tap, of y and weights to the next
  const TileFinish* finish = nullptr;  // of y
};

struct DepthwiseLoops {
  // y[cell, c] = sum over taps of rows[tap, cell][c] * weights[tap, c]
  void (*sum)(const DepthwiseSizes& sizes, const float* const* rows, const float* weights,
              float* y);
  // The same where cells read at equal distances: cell i for a tap at rows[tap] + i * distance.
  void (*sum_spaced)(const DepthwiseSizes& sizes, const float* const* rows, int64_t distance,
                     const float* weights, float* y);
  // sums[tap, c] = sum over cells of rows[tap, cell][c] * dy[cell, c], or that added to it.
  void (*sum_cells)(const DepthwiseSizes& sizes, const float* const* rows, const float* dy,
                    bool add, float* sums);
};

const DepthwiseLoops& depthwise_loops();

}  // namespace tenon::kernels
