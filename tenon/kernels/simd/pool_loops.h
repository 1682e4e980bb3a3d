// Vectorised float32 loops of max pooling over channels-last values. Private to this folder.
#pragma once

#include <cstdint>
#include <span>

namespace tenon::kernels {

// Windows of one shape in a row: window j starts `step * j` values after the first and holds the
// cells that lie `offsets` values after its start, `channels` values each.
struct WindowRow {
  int64_t windows = 0;
  int64_t step = 0;
  int64_t channels = 0;
  std::span<const int64_t> offsets;
};

struct PoolLoops {
  // y[j, c] = the largest x of window j that is no NaN (TensorFlow's pooling passes them over), the
  // lowest finite number at least.
  void (*maximum)(const WindowRow& row, const float* x, float* y);
  // The same of whole windows of volumes, where a NaN stands until the next cell comes.
  void (*volume_maximum)(const WindowRow& row, const float* x, float* y);
  // dx of the first cell of window j that equals best[j, c] becomes dy[j, c], of its other cells 0.
  // That is the very first cell where it is NaN or no cell is equal.
  void (*pass_to_maximum)(const WindowRow& row, const float* x, const float* best, const float* dy,
                          float* dx);
  // The same, added to what dx holds: for windows that overlap.
  void (*add_to_maximum)(const WindowRow& row, const float* x, const float* best, const float* dy,
                         float* dx);
  // dy[j, c] is added to dx of all cells of window j that are near best[j, c].
  void (*add_to_all)(const WindowRow& row, const float* x, const float* best, const float* dy,
                     float* dx);
};

// How far from the maximum of a volume's window a cell may lie that gets its gradient:
// pooling_ops_3d.cc.
inline constexpr float kVolumeTolerance = 1e-5F;

const PoolLoops& pool_loops();

}  // namespace tenon::kernels
