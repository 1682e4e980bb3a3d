#include "tenon/kernels/convolution/gathered_product.h"

#include "tenon/kernels/product/float_panels.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kGatherDepth = 1024;  // terms summed before the next panel is taken

}  // namespace

GatheredProduct::GatheredProduct(int64_t groups, int64_t k, int64_t n, const PostOps& post)
    : groups_(groups),
      k_(k),
      n_(n),
      post_(split_for_tiles(post)),
      zeros_(static_cast<size_t>(k), 0.0f) {}

void GatheredProduct::sum(const CellGather& gather, const CellBlock& b, const Operands& operands,
                          float* c, int64_t c_row, const float** table, int64_t table_row) const {
  const int64_t taps = gather.taps();
  gather_cells(gather, operands.source + b.group * k_, groups_ * k_, zeros_.data(), b.first,
               b.count, table_row, 0, taps, table);
  const int64_t group_column = b.group * n_ + b.column;
  const float* residual = operands.residual;
  if (residual) residual += b.first * c_row + group_column;
  const PostOps& in_tile = post_.in_tile;
  TileFinish finish{.limits = *limits_of(in_tile.activation)};
  const float* const panels = operands.panels + b.group * float_panels_size(taps * k_, n_);
  const int64_t taps_at_once = std::max<int64_t>(1, kGatherDepth / k_);
  for (int64_t tap = 0, term = 0; tap < taps || tap + term == 0;) {
    const int64_t runs = std::min(taps_at_once, taps - tap);
    const int64_t terms = std::min(kGatherDepth, k_ - term);
    const bool last = tap + runs == taps && term + terms == k_;
    for (int64_t column = 0; column < b.columns; column += product_loops().panel) {
      const int64_t width = panel_width(b.columns, column);
      if (in_tile.bias) finish.bias = operands.bias + group_column + column;
      if (in_tile.residual != Residual::kNone) finish.residual = residual + column;
      const auto terms_of = [&](int64_t panel, int64_t from) {
        return panels + taps * k_ * (b.column + panel) +
               from * padded_width(panel_width(b.columns, panel));
      };
      const int64_t here = tap * k_ + term, beyond = column + product_loops().panel;
      const float* const next = beyond < b.columns ? terms_of(beyond, here)
                                : last             ? nullptr
                                                   : terms_of(0, here + runs * terms);
      const TileProduct tile{.m = b.count,
                             .n = width,
                             .k = terms,
                             .a_column = term,
                             .b_row = padded_width(width),
                             .c_row = c_row,
                             .add = tap + term > 0,
                             .runs = runs,
                             .a_run = table_row,
                             .finish = last && in_tile != PostOps() ? &finish : nullptr,
                             .next_b = next};
      product_loops().product_of_rows(tile, table + tap * table_row, terms_of(column, here),
                                      c + column);
    }
    term += terms;
    if (term < k_) continue;
    term = 0;
    tap += std::max<int64_t>(runs, 1);
  }
  if (post_.rest != PostOps()) finish_block(post_.rest, b, c_row, residual, c);
}

}  // namespace tenon::kernels
