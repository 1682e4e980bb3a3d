// The cells of a convolution's input by their remainder by the stride: a gradient with respect to
// the input is one gather for each phase that a tap reaches, and a tap belongs to one phase.
// Private: used by .cc files of this folder.
#pragma once

#include "tenon/kernels/convolution/cell_gather.h"
#include "tenon/kernels/product/cell_blocks.h"

namespace tenon::kernels {

struct InputPhase {
  std::array<int64_t, 3> at;  // the remainders
  CellGather gather;
  CellBlocks blocks;
  std::vector<int64_t> taps;  // of the filter
  int64_t first_block;        // of all phases' blocks
  int64_t first_tap;          // of all phases' taps
};

class InputPhases {
 public:
  // Blocks of `columns` for each of the groups; `terms`: multiplications of a result for each tap.
  InputPhases(const ConvSpec& spec, int64_t groups, int64_t columns, int64_t terms);

  const std::vector<InputPhase>& all() const { return phases_; }
  // Does one phase hold all cells, in their order?
  bool is_dense() const { return covers_ && phases_.size() == 1; }
  // Is there a tap for every cell? The gradient of the others is 0.
  bool covers_all() const { return covers_; }
  int64_t blocks() const { return blocks_; }
  int64_t grain() const { return grain_; }
  int64_t band() const { return band_; }  // cells of a block, at most
  int64_t most_taps() const { return most_taps_; }
  const InputPhase& of_block(int64_t block) const;

  // Copies a block's rows, `sums_row` apart, to the cells of the input, whose rows are `row` long.
  void scatter(const InputPhase& phase, const CellBlock& block, const float* sums, int64_t sums_row,
               float* d_input, int64_t row) const;

 private:
  std::array<int64_t, 3> stride_, input_;
  std::vector<InputPhase> phases_;
  bool covers_ = false;
  int64_t blocks_ = 0;
  int64_t grain_ = 1;
  int64_t band_ = 0;
  int64_t most_taps_ = 0;
};

}  // namespace tenon::kernels
