// Depthwise sums over a gather, a row of cells at a time, where the taps of a filter's row lie side
// by side (simd/depthwise_loops.h). Private: used by .cc files of this folder.
#pragma once

#include "tenon/kernels/convolution/cell_gather.h"
#include "tenon/kernels/post_ops.h"

namespace tenon::kernels {

class DepthwiseRows {
 public:
  static bool suits(const CellGather& gather);
  // For a gather that suits. `post` is what is done to the sums.
  DepthwiseRows(const CellGather& gather, int64_t batch, int64_t channels, const PostOps& post);

  // y = sums of `source` by `weights`, whose taps are the gather's, with the team. `p` has the
  // operands of the post-ops.
  void run(const float* source, const float* weights, const ConvPointers& p, float* y) const;

 private:
  void run_row(int64_t index, int64_t column, const float* source, const float* weights,
               const ConvPointers& p, float* y) const;

  CellGather gather_;
  int64_t rows_, channels_;
  TilePostOps post_;
};

}  // namespace tenon::kernels
