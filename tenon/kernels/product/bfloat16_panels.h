// The right operand of products in bfloat16, packed: panels of kBfloat16Panel columns one after the
// other. In a panel two terms of a column lie side by side, and the pairs of a row of columns:
// [k / 2, kBfloat16Panel, 2]. Terms and columns are filled up with zeros. The taps of a filter
// follow each other within a panel, each filled up for itself. Private to this folder.
//
// Called where bfloat16_loops() are there.
#pragma once

#include "tenon/kernels/packed_layout.h"
#include "tenon/kernels/product/bfloat16_loops.h"

namespace tenon::kernels {

// k in whole steps of the loops.
inline int64_t bfloat16_terms(int64_t k) {
  return (k + kBfloat16Terms - 1) / kBfloat16Terms * kBfloat16Terms;
}

inline int64_t bfloat16_panel_count(int64_t n) { return (n + kBfloat16Panel - 1) / kBfloat16Panel; }

// Values of a packed [taps, k, n].
inline int64_t bfloat16_panels_size(int64_t k, int64_t n, int64_t taps = 1) {
  return taps * bfloat16_terms(k) * bfloat16_panel_count(n) * kBfloat16Panel;
}

// In float32: [taps, k, n], or a matrix [n, k] when `transposed`, its rows `row` values apart.
struct Bfloat16Source {
  const float* values = nullptr;
  int64_t k = 0;
  int64_t n = 0;
  int64_t row = 0;
  bool transposed = false;
  int64_t taps = 1;
};

// Packs `count` of them with the team, of the same sizes, whose values begin `step` apart: result i
// begins i * bfloat16_panels_size(k, n, taps) behind `to`.
void pack_bfloat16(int64_t count, const Bfloat16Source& first, int64_t step, uint16_t* to);

// `count` packed [taps, k, n].
PackedLayout bfloat16_layout(int64_t count, int64_t k, int64_t n, int64_t taps = 1);

// Was it made by bfloat16_layout()?
bool is_bfloat16_layout(const PackedLayout& layout);

}  // namespace tenon::kernels
