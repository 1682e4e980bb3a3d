#include "tenon/kernels/product/cell_blocks.h"

#include "tenon/base/parallel.h"
#include "tenon/kernels/product/float_panels.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kFewestCells = 24;
constexpr int64_t kBlocksOfThread = 8;    // where there is work for them
constexpr int64_t kBlockTerms = 200'000;  // multiplications that are worth a thread

}  // namespace

// Columns are cut before bands become short: each band reads its columns' panels once more.
CellBlocks::CellBlocks(int64_t cells, int64_t groups, int64_t columns, int64_t terms,
                       const Limits& limits)
    : cells_(cells),
      groups_(groups),
      columns_(columns),
      terms_(std::max<int64_t>(terms, 1)),
      tile_cells_(limits.tile_cells) {
  if (cells == 0) return;
  const int64_t panels = panel_count(columns);
  const int64_t most_panels = std::max<int64_t>(1, limits.columns / product_loops().panel);
  column_pieces_ = std::max<int64_t>(1, (panels + most_panels - 1) / most_panels);
  set_band(limits.cells);
  const int64_t team = team_size();
  const auto divisible = [&] {
    return team > 1 && count() < kBlocksOfThread * team && block_terms() >= 2 * kBlockTerms;
  };
  while (divisible() && column_pieces_ < panel_count(columns_)) {
    column_pieces_ = std::min(2 * column_pieces_, panel_count(columns_));
  }
  while (divisible() && band_ >= 2 * kFewestCells) set_band(band_ / 2);
}

void CellBlocks::set_band(int64_t most) {
  const int64_t bands = (cells_ + most - 1) / most;
  band_ = ((cells_ + bands - 1) / bands + tile_cells_ - 1) / tile_cells_ * tile_cells_;
  bands_ = (cells_ + band_ - 1) / band_;
}

int64_t CellBlocks::block_terms() const { return band_ * terms_ * columns_ / column_pieces_; }

int64_t CellBlocks::grain() const {
  return std::max<int64_t>(1, kBlockTerms / std::max<int64_t>(block_terms(), 1));
}

// Bands of one piece of columns follow each other, so that its panels stay in the cache.
CellBlock CellBlocks::operator[](int64_t index) const {
  const int64_t band = index % bands_;
  const int64_t piece = index / bands_ % column_pieces_;
  const int64_t panels = panel_count(columns_);
  const int64_t column = panels * piece / column_pieces_ * product_loops().panel;
  const int64_t end =
      std::min(columns_, panels * (piece + 1) / column_pieces_ * product_loops().panel);
  const int64_t first = band * band_;
  return {first, std::min(band_, cells_ - first), index / bands_ / column_pieces_, column,
          end - column};
}

void finish_block(const PostOps& post, const CellBlock& block, int64_t row, const float* residual,
                  float* y) {
  const bool whole = block.columns == row;
  const int64_t runs = whole ? 1 : block.count;
  const int64_t values = whole ? block.count * row : block.columns;
  for (int64_t i = 0; i < runs; ++i) {
    apply_post_ops(post, residual ? residual + i * row : nullptr, y + i * row, values);
  }
}

}  // namespace tenon::kernels
