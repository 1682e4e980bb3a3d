#include "tenon/kernels/product/float_panels.h"

namespace tenon::kernels {

void copy_panel(int64_t rows, int64_t width, const float* from, int64_t from_row, float* to) {
  const int64_t to_row = padded_width(width);
  for (int64_t r = 0; r < rows; ++r, from += from_row, to += to_row) {
    std::copy_n(from, width, to);
    std::fill(to + width, to + to_row, 0.0f);
  }
}

int64_t float_panels_size(int64_t k, int64_t n) {
  const int64_t panel = product_loops().panel;
  return k * (n / panel * panel + padded_width(n % panel));
}

void pack_float_panels(int64_t k, int64_t n, bool transposed, const float* b, float* packed) {
  for (int64_t column = 0; column < n; column += product_loops().panel) {
    const int64_t width = panel_width(n, column);
    float* const to = packed + k * column;
    if (transposed) {
      product_loops().transpose(k, width, b + column * k, k, to, padded_width(width));
    } else {
      copy_panel(k, width, b + column, n, to);
    }
  }
}

bool float_panels_are_plain(int64_t n) {
  return n <= product_loops().panel && padded_width(n) == n;
}

}  // namespace tenon::kernels
