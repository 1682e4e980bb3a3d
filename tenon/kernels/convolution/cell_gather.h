// Which cells of one grid a convolution reads for each cell of another: a cell of the destination
// reads, for each tap, the source's cell  step * cell + offset(tap),  or zeros where that lies
// outside. Forward, the destination is the output and the source the input; the gradient with
// respect to the input has one such gather for each remainder of its cells by the stride.
// Private: used by .cc files of this folder.
#pragma once

#include <vector>

#include "tenon/kernels/conv.h"

namespace tenon::kernels {

// One spatial dimension.
struct GatherAxis {
  struct Tap {
    int64_t tap = 0;  // of the filter
    int64_t offset = 0;
    int64_t begin = 0;  // destination cells [begin, end) read inside the source
    int64_t end = 1;
  };
  int64_t cells = 1;  // of the destination
  int64_t source_cells = 1;
  int64_t step = 1;
  std::vector<Tap> taps{Tap()};  // that take part

  void add(int64_t tap, int64_t offset);
};

// Axes are ordered from the outermost; the last one is the innermost.
struct CellGather {
  std::array<GatherAxis, 3> axes;

  int64_t cells() const { return axes[0].cells * axes[1].cells * axes[2].cells; }
  int64_t source_cells() const {
    return axes[0].source_cells * axes[1].source_cells * axes[2].source_cells;
  }
  int64_t taps() const {
    return static_cast<int64_t>(axes[0].taps.size() * axes[1].taps.size() * axes[2].taps.size());
  }
};

// The output's cells read the input's.
CellGather forward_gather(const ConvSpec& spec);

// Those cells of the input whose remainder by the stride is `phase`, in each dimension, read the
// output's: cell `c` of the gather is the input's cell c * stride + phase. Taps are those that
// reach any of them, of dimensions as ordered in CellGather.
CellGather input_gradient_gather(const ConvSpec& spec, const std::array<int64_t, 3>& phase);

// Spatial sizes of a spec in the order of CellGather: leading ones, the innermost last.
std::array<int64_t, 3> innermost_last(const ConvSpec& spec, const std::array<int64_t, 3>& sizes);

// Index of each tap of the gather in the filter.
std::vector<int64_t> filter_taps(const ConvSpec& spec, const CellGather& gather);

// table[(tap - first_tap) * row + i] = what cell first + i reads for that tap, of a source with
// `channels` values a cell; cells count over all images of a batch, taps are [first_tap, last_tap).
void gather_cells(const CellGather& gather, const float* source, int64_t channels,
                  const float* zeros, int64_t first, int64_t count, int64_t row, int64_t first_tap,
                  int64_t last_tap, const float** table);

}  // namespace tenon::kernels
