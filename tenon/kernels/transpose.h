// Transposition of any rank and element size.
#pragma once

#include <span>

#include "tenon/core/shape.h"

namespace tenon::kernels {

// y's axis i is x's axis permutation[i]. `shape` is x's. Elements of 1, 2, 4, 8 or 16 bytes; y does
// not overlap x.
void transpose(size_t element_size, const Shape& shape, std::span<const int> permutation,
               const void* x, void* y);

}  // namespace tenon::kernels
