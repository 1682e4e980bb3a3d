#include "tenon/kernels/product/bfloat16_panels.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/base/strings.h"
#include "tenon/kernels/product/packed_description.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kGrainOfPacking = 32'768;  // values that are worth a thread

void pack_rows(const Bfloat16Source& s, int64_t column, uint16_t* to) {
  const Bfloat16Loops& loops = *bfloat16_loops();
  const int64_t width = std::min(kBfloat16Panel, s.n - column);
  for (int64_t k = 0; k < bfloat16_terms(s.k); k += 2, to += 2 * kBfloat16Panel) {
    const float* const even = s.values + k * s.row + column;
    if (k < s.k) {
      loops.round_pairs(even, k + 1 < s.k ? even + s.row : nullptr, width, to);
    } else {
      std::fill_n(to, 2 * kBfloat16Panel, uint16_t{0});
    }
  }
}

// Each row of the source is a column of the panel.
void pack_columns(const Bfloat16Source& s, int64_t column, uint16_t* to) {
  const Bfloat16Loops& loops = *bfloat16_loops();
  const int64_t width = std::min(kBfloat16Panel, s.n - column);
  const int64_t pair = 2 * kBfloat16Panel;
  if (width < kBfloat16Panel) std::fill_n(to, bfloat16_terms(s.k) * kBfloat16Panel, uint16_t{0});
  for (int64_t j = 0; j < width; ++j) {
    const float* const from = s.values + (column + j) * s.row;
    for (int64_t k = 0; k < s.k; k += kBfloat16Terms) {
      uint16_t terms[kBfloat16Terms];
      loops.round(from + k, std::min(kBfloat16Terms, s.k - k), kBfloat16Terms, terms);
      uint16_t* at = to + k / 2 * pair + 2 * j;
      for (int64_t i = 0; i < kBfloat16Terms; i += 2, at += pair) {
        std::memcpy(at, terms + i, 2 * sizeof(uint16_t));
      }
    }
  }
}

}  // namespace

void pack_bfloat16(int64_t count, const Bfloat16Source& first, int64_t step, uint16_t* to) {
  const int64_t panels = bfloat16_panel_count(first.n);
  const int64_t tap_size = bfloat16_terms(first.k) * kBfloat16Panel;
  const int64_t panel_size = first.taps * tap_size;
  const int64_t grain = std::max<int64_t>(1, kGrainOfPacking / panel_size);
  parallel_for(count * panels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Bfloat16Source source = first;
      source.values += i / panels * step;
      const int64_t column = i % panels * kBfloat16Panel;
      const auto pack = source.transposed ? pack_columns : pack_rows;
      for (int64_t tap = 0; tap < source.taps; ++tap, source.values += source.k * source.row) {
        pack(source, column, to + i * panel_size + tap * tap_size);
      }
    }
  });
}

PackedLayout bfloat16_layout(int64_t count, int64_t k, int64_t n, int64_t taps) {
  PackedLayout::Description description;
  description.name = cat("bfloat16 panels of ", count, " x ", taps, " x ", k, " x ", n);
  description.bytes =
      static_cast<size_t>(count * bfloat16_panels_size(k, n, taps)) * sizeof(uint16_t);
  description.precision = Precision::kBfloat16;
  return PackedLayout(std::make_shared<PackedLayout::Description>(std::move(description)));
}

bool is_bfloat16_layout(const PackedLayout& layout) {
  return !layout.is_plain() && layout.description()->precision == Precision::kBfloat16;
}

}  // namespace tenon::kernels
