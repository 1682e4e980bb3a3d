#include "tenon/kernels/convolution/depthwise_rows.h"

#include "tenon/base/parallel.h"
#include "tenon/kernels/product/cell_blocks.h"
#include "tenon/kernels/simd/depthwise_loops.h"

namespace tenon::kernels {
namespace {

constexpr size_t kMostFilterRows = 64;
// Channels of a piece, whose rows of the input stay in the L1 cache while the filter moves over
// them.
constexpr int64_t kRowColumns = 64;
constexpr int64_t kRowTerms = 100'000;  // multiplications that are worth a thread

}  // namespace

bool DepthwiseRows::suits(const CellGather& gather) {
  const auto& [outer, middle, inner] = gather.axes;
  const size_t width = inner.taps.size();
  if (width != 3 && width != 5 && width != 7) return false;
  if (inner.step != 1 && inner.step != 2) return false;
  if (outer.taps.size() * middle.taps.size() > kMostFilterRows) return false;
  for (size_t t = 1; t < width; ++t) {
    if (inner.taps[t].offset != inner.taps[0].offset + static_cast<int64_t>(t)) return false;
  }
  return true;
}

DepthwiseRows::DepthwiseRows(const CellGather& gather, int64_t batch, int64_t channels,
                             const PostOps& post)
    : gather_(gather),
      rows_(batch * gather.axes[0].cells * gather.axes[1].cells),
      channels_(channels),
      post_(split_for_tiles(post)) {}

// The rows of a piece follow each other.
void DepthwiseRows::run(const float* source, const float* weights, const ConvPointers& p,
                        float* y) const {
  const int64_t pieces = (channels_ + kRowColumns - 1) / kRowColumns;
  const int64_t terms = gather_.axes[2].cells * gather_.taps() * std::min(channels_, kRowColumns);
  parallel_for(pieces * rows_, std::max<int64_t>(1, kRowTerms / std::max<int64_t>(terms, 1)),
               [&](int64_t first, int64_t last) {
                 for (int64_t i = first; i < last; ++i) {
                   run_row(i % rows_, i / rows_ * kRowColumns, source, weights, p, y);
                 }
               });
}

void DepthwiseRows::run_row(int64_t index, int64_t column, const float* source,
                            const float* weights, const ConvPointers& p, float* y) const {
  const auto& [outer, middle, inner] = gather_.axes;
  const int64_t row = index % middle.cells, plane = index / middle.cells % outer.cells;
  const float* const image =
      source + index / middle.cells / outer.cells * gather_.source_cells() * channels_ + column;
  std::array<const float*, kMostFilterRows> rows;
  size_t height = 0;
  for (const GatherAxis::Tap& z : outer.taps) {
    for (const GatherAxis::Tap& v : middle.taps) {
      const bool inside = plane >= z.begin && plane < z.end && row >= v.begin && row < v.end;
      const int64_t at =
          (plane * outer.step + z.offset) * middle.source_cells + row * middle.step + v.offset;
      rows[height++] = inside ? image + at * inner.source_cells * channels_ : nullptr;
    }
  }
  const int64_t columns = std::min(kRowColumns, channels_ - column);
  const int64_t to = index * inner.cells * channels_ + column;
  const PostOps& in_tile = post_.in_tile;
  TileFinish finish{.limits = *limits_of(in_tile.activation)};
  if (in_tile.bias) finish.bias = p.bias + column;
  if (in_tile.residual != Residual::kNone) finish.residual = p.residual + to;
  const DepthwiseRow sizes{.cells = inner.cells,
                           .input_cells = inner.source_cells,
                           .first = inner.taps[0].offset,
                           .step = inner.step,
                           .width = static_cast<int64_t>(inner.taps.size()),
                           .height = static_cast<int64_t>(height),
                           .channels = columns,
                           .row = channels_,
                           .finish = in_tile == PostOps() ? nullptr : &finish};
  depthwise_loops().sum_row(sizes, rows.data(), weights + column, y + to);
  if (post_.rest == PostOps()) return;
  finish_block(post_.rest, {index * inner.cells, inner.cells, 0, column, columns}, channels_,
               p.residual ? p.residual + to : nullptr, y + to);
}

}  // namespace tenon::kernels
