// How the result of a convolution, cells by columns for each group, falls into blocks that the
// threads of a team take: more of them for more threads, as a result's bits do not depend on its
// block. Private: used by .cc files of this folder.
#pragma once

#include <limits>

#include "tenon/kernels/post_ops.h"

namespace tenon::kernels {

// Cells [first, first + count) of all images by columns [column, column + columns) of a group.
struct CellBlock {
  int64_t first, count, group, column, columns;
};

class CellBlocks {
 public:
  // Of a block, where there are so many.
  struct Limits {
    int64_t cells = 96;       // at most
    int64_t tile_cells = 12;  // a multiple of these: the rows of every tile
    int64_t columns = std::numeric_limits<int64_t>::max();  // at most, but for one panel
  };

  // For a team of team_size(). `terms`: multiplications of one result.
  CellBlocks(int64_t cells, int64_t groups, int64_t columns, int64_t terms, const Limits& limits);
  CellBlocks(int64_t cells, int64_t groups, int64_t columns, int64_t terms)
      : CellBlocks(cells, groups, columns, terms, Limits()) {}

  int64_t count() const { return bands_ * groups_ * column_pieces_; }
  int64_t grain() const;                  // blocks that are worth a thread
  int64_t band() const { return band_; }  // cells of a block, at most
  CellBlock operator[](int64_t index) const;

 private:
  int64_t block_terms() const;
  void set_band(int64_t most);

  int64_t cells_, groups_, columns_, terms_, tile_cells_;
  int64_t band_ = 0;
  int64_t bands_ = 0;
  int64_t column_pieces_ = 1;
};

// apply_post_ops() to a block, of which `y` and the residual (or null) are the first values and
// `row` values lie from one cell to the next.
void finish_block(const PostOps& post, const CellBlock& block, int64_t row, const float* residual,
                  float* y);

}  // namespace tenon::kernels
