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

// A row of cells, or a part of it, of filters whose taps lie side by side in rows of the input:
// cell i reads, for tap t of a filter's row, the input's cell  first + i * step + t  of its row, or
// nothing where that is none of [0, input_cells).
struct DepthwiseRow {
  int64_t cells = 0;
  int64_t input_cells = 0;
  int64_t first = 0;
  int64_t step = 1;   // 1 or 2
  int64_t width = 0;  // of a filter's row: 3, 5 or 7
  int64_t height = 0;
  int64_t channels = 0;
  int64_t row = 0;                     // values from one cell, or tap, to the next, of all operands
  const TileFinish* finish = nullptr;  // of y
};

struct DepthwiseLoops {
  // y[cell, c] = sum over taps of rows[tap, cell][c] * weights[tap, c]
  void (*sum)(const DepthwiseSizes& sizes, const float* const* rows, const float* weights,
              float* y);
  // The same for a row of cells: rows[r], or null, is the input's row for row r of the filter. Each
  // value of the input is read once for all taps that meet it in a row.
  void (*sum_row)(const DepthwiseRow& sizes, const float* const* rows, const float* weights,
                  float* y);
};

const DepthwiseLoops& depthwise_loops();

// sums[tap, c] = sum over cells of rows[tap, cell][c] * dy[cell, c], or that added to it.
// Training's alone, so it stands apart: programs that do not train are linked without it.
void depthwise_sum_cells(const DepthwiseSizes& sizes, const float* const* rows, const float* dy,
                         bool add, float* sums);

}  // namespace tenon::kernels
