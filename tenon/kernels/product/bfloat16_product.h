// Matrix products in bfloat16, summed in float32: what MatMul runs where that is asked for and the
// processor multiplies so natively. Private to kernels/.
//
// A result's bits depend on its row of a and its column of b alone.
#pragma once

#include "tenon/kernels/matmul.h"
#include "tenon/kernels/product/bfloat16_sums.h"

namespace tenon::kernels {

class Bfloat16Product {
 public:
  // `items` products of the spec's sizes, k at least 1; its batches are not looked at. For a team
  // of team_size().
  Bfloat16Product(const MatMulSpec& spec, int64_t items);

  int64_t blocks() const { return blocks_.count(); }
  int64_t grain() const { return blocks_.grain(); }  // blocks that are worth a thread
  int64_t item_of(int64_t block) const { return blocks_[block].group; }
  size_t worker_scratch_bytes() const;

  // `p`: of the block's item, b packed as bfloat16_panels.h says.
  void run_block(int64_t block, const MatMulPointers& p, char* scratch) const;

 private:
  MatMulSpec spec_;
  CellBlocks blocks_;
  Bfloat16Sums sums_;
};

}  // namespace tenon::kernels
