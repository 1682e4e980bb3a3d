// Rows of several requests as one tensor. Functions without state, safe from any thread.
#pragma once

#include <span>

#include "tenon/core/tensor.h"

namespace tenon::serving {

// `parts` one after the other along dimension 0; of one dtype, rank (at least 1) and, beyond
// dimension 0, one shape. Numbers are copied, the characters of strings are shared.
// INVALID_ARGUMENT where the parts do not fit each other or together are too large.
StatusOr<Tensor> concatenate_rows(std::span<const Tensor> parts);

// `tensor` grown to `shape` beyond dimension 0, at the end of each dimension, with its first
// element. INVALID_ARGUMENT where it has none.
StatusOr<Tensor> pad_rows(const Tensor& tensor, const Shape& shape);

}  // namespace tenon::serving
