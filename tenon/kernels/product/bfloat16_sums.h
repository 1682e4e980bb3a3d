// The way of a block of results through the loops of bfloat16_loops.h. Private to kernels/.
#pragma once

#include <algorithm>

#include "tenon/kernels/product/bfloat16_panels.h"
#include "tenon/kernels/product/cell_blocks.h"
#include "tenon/kernels/product/worker_scratch.h"

namespace tenon::kernels {

struct Bfloat16Operands {
  const uint16_t* panels = nullptr;  // of the block's [k, n], packed
  float* y = nullptr;                // the block's first value, as are those below
  int64_t y_row = 0;
  const float* bias = nullptr;
  const float* residual = nullptr;  // rows as far apart as y's
};

// Post-ops of sums that stand in y.
void finish_bfloat16(const TilePostOps& post, const CellBlock& block,
                     const Bfloat16Operands& operands);

class Bfloat16Sums {
 public:
  // k at least 1.
  Bfloat16Sums(int64_t k, const PostOps& post);

  static constexpr int64_t kDepth = 512;  // terms at once, at most: a panel's stay in the L1 cache

  // For blocks of up to `rows` cells.
  size_t scratch_bytes(int64_t rows) const;

  // fill(first, terms, left, left_row) writes the terms [first, first + terms) of each of the
  // block's cells to left + cell * left_row, rounded, with zeros up to bfloat16_terms(terms).
  template <class Fill>
  void sum(const CellBlock& block, const Bfloat16Operands& operands, Fill fill,
           void* scratch) const {
    auto* const left = static_cast<uint16_t*>(scratch);
    for (int64_t k = 0; k < k_; k += kDepth) {
      fill(k, std::min(kDepth, k_ - k), left, kLeftRow);
      add_terms(block, operands, k, left);
    }
    finish_bfloat16(post_, block, operands);
  }

 private:
  // Rows a line more than a power of two apart, so that they don't meet in the same sets of a
  // cache.
  static constexpr int64_t kLeftRow = kDepth + 32;

  void add_terms(const CellBlock& block, const Bfloat16Operands& operands, int64_t k,
                 const uint16_t* left) const;
  int64_t k_;
  TilePostOps post_;
};

}  // namespace tenon::kernels
