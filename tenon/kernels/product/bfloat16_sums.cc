#include "tenon/kernels/product/bfloat16_sums.h"

#include "tenon/kernels/simd/product_loops.h"

namespace tenon::kernels {

Bfloat16Sums::Bfloat16Sums(int64_t k, const PostOps& post) : k_(k), post_(split_for_tiles(post)) {}

size_t Bfloat16Sums::scratch_bytes(int64_t rows) const {
  const int64_t whole = (rows + kBfloat16Rows - 1) / kBfloat16Rows * kBfloat16Rows;
  return whole_lines(static_cast<size_t>(whole * kLeftRow) * sizeof(uint16_t));
}

void Bfloat16Sums::add_terms(const CellBlock& block, const Bfloat16Operands& operands, int64_t k,
                             const uint16_t* left) const {
  Bfloat16Tile tile{.m = block.count,
                    .k = bfloat16_terms(std::min(kDepth, k_ - k)),
                    .a_row = kLeftRow,
                    .c_row = operands.y_row,
                    .add = k > 0};
  for (int64_t column = 0; column < block.columns; column += kBfloat16Panel) {
    tile.n = std::min(kBfloat16Panel, block.columns - column);
    const uint16_t* const panel =
        operands.panels + bfloat16_terms(k_) * (block.column + column) + k * kBfloat16Panel;
    bfloat16_loops()->product(tile, &left, panel, operands.y + column);
  }
}

// A product of no terms, added: what is left are the post-ops.
void finish_bfloat16(const TilePostOps& post, const CellBlock& block,
                     const Bfloat16Operands& operands) {
  const PostOps& in_tile = post.in_tile;
  if (in_tile != PostOps()) {
    TileFinish finish{.limits = *limits_of(in_tile.activation)};
    if (in_tile.bias) finish.bias = operands.bias;
    if (in_tile.residual != Residual::kNone) finish.residual = operands.residual;
    const TileProduct nothing{.m = block.count,
                              .n = block.columns,
                              .c_row = operands.y_row,
                              .add = true,
                              .finish = &finish};
    product_loops().product(nothing, operands.y, operands.y, operands.y);
  }
  if (post.rest == PostOps()) return;
  finish_block(post.rest, block, operands.y_row, operands.residual, operands.y);
}

}  // namespace tenon::kernels
