// A convolution as a product: sum over taps of [cells, k] by [k, n], where a table says which row
// of the source a cell reads for a tap. Nothing is copied but the filter, into panels. Private:
// used by .cc files of this folder.
//
// A result is summed in the order of taps and k by one accumulator: its bits depend on its cell and
// column alone, whatever the batch, the blocks and the team are.
#pragma once

#include "tenon/kernels/convolution/cell_gather.h"
#include "tenon/kernels/product/cell_blocks.h"

namespace tenon::kernels {

class GatheredProduct {
 public:
  // k and n: of a group.
  GatheredProduct(int64_t groups, int64_t k, int64_t n, const PostOps& post);

  struct Operands {
    const float* source;
    const float* panels;  // of all groups: [taps * k, n] each, packed
    const float* bias = nullptr;
    const float* residual = nullptr;  // as the result, where post has one
  };
  // c: where the block's first value goes, rows c_row apart, groups * n with post-ops, which are
  // done. The table has room for `table_row` cells, no fewer than the block's, for each tap.
  void sum(const CellGather& gather, const CellBlock& block, const Operands& operands, float* c,
           int64_t c_row, const float** table, int64_t table_row) const;

 private:
  int64_t groups_, k_, n_;
  TilePostOps post_;
  std::vector<float> zeros_;
};

}  // namespace tenon::kernels
