// The right operand of our float32 products, packed: panels of ProductLoops::panel columns one
// after the other, each row-major, the last one's rows filled up with zeros to whole vectors.
// Private to this folder.
#pragma once

#include <algorithm>

#include "tenon/kernels/simd/product_loops.h"

namespace tenon::kernels {

// A width in whole vectors.
inline int64_t padded_width(int64_t width) {
  const int64_t lanes = product_loops().lanes;
  return (width + lanes - 1) / lanes * lanes;
}

// Columns of the panel that begins at `column`.
inline int64_t panel_width(int64_t n, int64_t column) {
  return std::min(product_loops().panel, n - column);
}

inline int64_t panel_count(int64_t n) {
  return (n + product_loops().panel - 1) / product_loops().panel;
}

// [rows, width] of a row-major matrix, with zeros up to whole vectors.
void copy_panel(int64_t rows, int64_t width, const float* from, int64_t from_row, float* to);

// Floats of a packed [k, n] matrix: the panel at `column` begins at k * column.
int64_t float_panels_size(int64_t k, int64_t n);

// Packs b, [n, k] when `transposed`.
void pack_float_panels(int64_t k, int64_t n, bool transposed, const float* b, float* packed);

// Would the packed matrix be what a row-major one is?
bool float_panels_are_plain(int64_t n);

}  // namespace tenon::kernels
