#include "tenon/kernels/product/float_product.h"

#include "tenon/kernels/product/float_panels.h"

namespace tenon::kernels {
namespace {

// Terms that are summed before the next panel of b is taken: so many rows of it fit the L2 cache.
constexpr int64_t kDepth = 1024;
// Rows of b so long that a panel's lie on pages of their own, and rows of y that repay its copy.
constexpr int64_t kFarRows = 1024;
constexpr int64_t kRowsForCopy = 48;
// Multiplications that are worth a thread.
constexpr int64_t kWorkerTerms = 100'000;

}  // namespace

FloatProduct::FloatProduct(const MatMulSpec& spec, int64_t items, int team)
    : m_(spec.m),
      k_(spec.k),
      n_(spec.n),
      transpose_a_(spec.transpose_a),
      transpose_b_(spec.transpose_b),
      packed_(!spec.packed.is_plain()),
      post_(split_for_tiles(spec.post)) {
  cut(items, team);
}

// Cuts items where there are too few for the team: into as many rows and columns as leave the
// least to the busiest thread.
void FloatProduct::cut(int64_t items, int team) {
  const int64_t terms = items * m_ * padded_width(n_) * std::max<int64_t>(k_, 1);
  workers_ = std::clamp<int64_t>(terms / kWorkerTerms, 1, team);
  if (items % workers_ == 0 || items >= 4 * workers_) return;
  const int64_t panels = panel_count(n_);
  int64_t best = -1;
  for (int64_t rows = 1; rows <= workers_; ++rows) {
    if (workers_ % rows != 0) continue;
    const int64_t columns = workers_ / rows;
    // Where it makes no difference, the longer side of y is cut. Each piece of rows copies its
    // panels for itself.
    const int64_t most_rows = (m_ + rows - 1) / rows + (copies_panels() ? 4 : 0);
    const int64_t most = most_rows * ((panels + columns - 1) / columns);
    if (best >= 0 && most > best) continue;
    if (most == best && m_ < n_) continue;
    best = most;
    row_pieces_ = rows;
    column_pieces_ = columns;
  }
}

// Are whole panels of b copied before they are used?
bool FloatProduct::copies_panels() const {
  return !packed_ && (transpose_b_ || (n_ >= kFarRows && m_ >= kRowsForCopy));
}

size_t FloatProduct::worker_scratch_bytes() const {
  if (packed_ || (!copies_panels() && padded_width(n_) == n_)) return 0;
  const int64_t values = std::min(k_, kDepth) * padded_width(panel_width(n_, 0));
  return static_cast<size_t>(values) * sizeof(float);
}

// Of the `depth` terms from k on, those whose row of b can be read where it stands. The last vector
// of a row may reach into the next one, for columns that nobody keeps, but not beyond the matrix.
int64_t FloatProduct::terms_in_place(int64_t k, int64_t depth, int64_t column,
                                     int64_t width) const {
  if (padded_width(width) == width) return depth;
  const int64_t rows_behind = (column + padded_width(width) + n_ - 1) / n_;
  return std::clamp<int64_t>(k_ - rows_behind + 1 - k, 0, depth);
}

// Adds `depth` terms from k on to the columns of the panel at `column`.
void FloatProduct::sum_panel(Range rows, int64_t column, int64_t k, int64_t depth,
                             const MatMulPointers& p, float* scratch) const {
  const ProductLoops& loops = product_loops();
  const int64_t width = panel_width(n_, column);
  const int64_t at = rows.begin * n_ + column;
  TileFinish finish{.limits = *limits_of(post_.in_tile.activation)};
  if (post_.in_tile.bias) finish.bias = p.bias + column;
  if (post_.in_tile.residual != Residual::kNone) finish.residual = p.residual + at;
  const auto sum = [&](int64_t from, int64_t terms, const float* b, int64_t b_row,
                       const float* next_b = nullptr) {
    const bool last = from + terms == k_;
    const TileProduct tile{.m = rows.end - rows.begin,
                           .n = width,
                           .k = terms,
                           .a_row = transpose_a_ ? 1 : k_,
                           .a_column = transpose_a_ ? m_ : 1,
                           .b_row = b_row,
                           .c_row = n_,
                           .add = from > 0,
                           .finish = last && post_.in_tile != PostOps() ? &finish : nullptr,
                           .next_b = next_b};
    const int64_t left = transpose_a_ ? rows.begin + from * m_ : rows.begin * k_ + from;
    loops.product(tile, terms > 0 ? p.a + left : p.y, b, p.y + at);
  };
  if (depth == 0) return sum(0, 0, p.y, 0);  // k is 0: a and b, which may be null, are not read
  const auto* const b = static_cast<const float*>(p.b);
  const int64_t row = padded_width(width);
  if (packed_) {
    const int64_t next = column + loops.panel;
    const bool has_next = next < n_ && panel_width(n_, next) == width;
    return sum(k, depth, b + k_ * column + k * row, row,
               has_next ? b + k_ * next + k * row : nullptr);
  }
  if (transpose_b_) {
    loops.transpose(depth, width, b + column * k_ + k, k_, scratch, row);
    return sum(k, depth, scratch, row);
  }
  const int64_t in_place = copies_panels() ? 0 : terms_in_place(k, depth, column, width);
  if (in_place > 0) sum(k, in_place, b + k * n_ + column, n_);
  if (in_place == depth) return;
  copy_panel(depth - in_place, width, b + (k + in_place) * n_ + column, n_, scratch);
  sum(k + in_place, depth - in_place, scratch, row);
}

void FloatProduct::run_job(int64_t job, const MatMulPointers& p, float* scratch) const {
  const auto piece = [](int64_t count, int64_t pieces, int64_t index) {
    return Range{count * index / pieces, count * (index + 1) / pieces};
  };
  const int64_t panel = product_loops().panel;
  const Range rows = piece(m_, row_pieces_, job / column_pieces_);
  const Range panels = piece(panel_count(n_), column_pieces_, job % column_pieces_);
  const Range columns{panels.begin * panel, std::min(n_, panels.end * panel)};
  int64_t k = 0;
  do {
    const int64_t depth = std::min(k_ - k, kDepth);
    for (int64_t column = columns.begin; column < columns.end; column += panel) {
      sum_panel(rows, column, k, depth, p, scratch);
    }
    k += depth;
  } while (k < k_);
  if (post_.rest != PostOps()) finish(rows, columns, p);
}

void FloatProduct::finish(Range rows, Range columns, const MatMulPointers& p) const {
  const auto apply = [&](int64_t at, int64_t count) {
    apply_post_ops(post_.rest, p.residual ? p.residual + at : nullptr, p.y + at, count);
  };
  if (column_pieces_ == 1) return apply(rows.begin * n_, (rows.end - rows.begin) * n_);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    apply(row * n_ + columns.begin, columns.end - columns.begin);
  }
}

}  // namespace tenon::kernels
