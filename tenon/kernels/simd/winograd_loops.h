// The transforms of Winograd's F(2x2, 3x3) over channels-last float32 values. Private to this
// folder.
//
// A tile is 4x4 input cells and the 2x2 output cells they decide; a transformed tile has 16 places.
// Transformed tiles stand as [16][row][channels], a transformed filter as 16 places in panels.
// Channels are multiples of 16.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// Fills, or reads, one tile: place p is `place` values after place p - 1.
struct WinogradLoops {
  // From 16 input cells, row-major: B^T d B.
  void (*transform_input)(int64_t channels, const float* const* cells, float* tile, int64_t place);
  // From 4 output cells: A d A^T.
  void (*transform_output_gradient)(int64_t channels, const float* const* cells, float* tile,
                                    int64_t place);
  // To 4 output cells, null where there is none: A^T m A + bias (null: none), at least `low`, at
  // most `high`; a NaN stays.
  void (*finish_output)(int64_t channels, const float* tile, int64_t place, const float* bias,
                        float low, float high, float* const* cells);
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
