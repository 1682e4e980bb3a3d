// The loops of our own convolutions, over channels-last float32 values: Winograd's F(2x2, 3x3), and
// the product that the direct one is made of. Private to this folder.
//
// A tile is 4x4 input cells and the 2x2 output cells they decide; a transformed tile has 16 places.
// Transformed tiles stand as [16][row][channels], a transformed filter as [16][in][out]. Channels
// are multiples of 16.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// c[m, n] = sum over k of a[m, k] * b[k, n], or that added to c: b and c row-major, a by strides.
// With `runs`, there are so many times k terms: run r reads a from r * a_run on, b goes on.
struct TileProduct {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t a_row = 0;
  int64_t a_column = 0;
  bool add = false;
  int64_t runs = 1;
  int64_t a_run = 0;
};

// Fills, or reads, one tile: place p is `place` values after place p - 1.
struct WinogradLoops {
  void (*product)(const TileProduct& sizes, const float* a, const float* b, float* c);
  // From 16 input cells, row-major: B^T d B.
  void (*transform_input)(int64_t channels, const float* const* cells, float* tile, int64_t place);
  // From 4 output cells: A d A^T.
  void (*transform_output_gradient)(int64_t channels, const float* const* cells, float* tile,
                                    int64_t place);
  // To 4 output cells, null where there is none: A^T m A + bias (null: none), at least `low`, at
  // most `high`; a NaN stays.
  void (*finish_output)(int64_t channels, const float* tile, int64_t place, const float* bias,
                        float low, float high, float* const* cells);
  // The same for rows that stand in y already.
  void (*finish_rows)(int64_t rows, int64_t channels, const float* bias, float low, float high,
                      float* y);
  // Adds B m B^T to 16 input cells, null where there is none.
  void (*add_input_gradient)(int64_t channels, const float* tile, int64_t place,
                             float* const* cells);
  // From 9 taps `tap` values apart: G g G^T.
  void (*transform_filter)(int64_t channels, const float* taps, int64_t tap, float* tile,
                           int64_t place);
  // G^T w G, w being the sum of `parts` tiles that lie `part` values apart.
  void (*finish_filter_gradient)(int64_t channels, const float* tile, int64_t place, int64_t parts,
                                 int64_t part, float* taps, int64_t tap);
};

// Null where vectors have fewer than 16 lanes: there oneDNN's direct convolution is as fast.
const WinogradLoops* winograd_loops();

}  // namespace tenon::kernels
