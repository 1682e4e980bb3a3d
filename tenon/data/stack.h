// Rows put together in a new dimension 0. Internal to data/.
#pragma once

#include "tenon/data/dataset.h"

namespace tenon::data {

// [rows, row...].
Shape shape_of_rows(int64_t rows, std::span<const int64_t> row);

// `tensor` as memory for dtype and shape: itself when nobody else holds it and it is large enough.
Status make_room(Tensor& tensor, DType dtype, const Shape& shape);

// Writes `batch` in place where Iterator::next() may. `rows` are not empty. INVALID_ARGUMENT when
// they differ in the number of components, dtype or shape.
Status stack(std::span<const Element> rows, Element& batch);

// As stack() for one component of rows that differ in size: smaller ones are filled up at their
// ends with `padding` (no value: zeros, empty texts) to `to`, where that is known, else to the
// largest. Codes are tf.data's: DATA_LOSS for a row larger than `to`, else INVALID_ARGUMENT.
Status stack_padded(std::span<const Element> rows, size_t component, const PartialShape& to,
                    const Tensor& padding, Tensor& batch);

// INVALID_ARGUMENT when the rows have not all as many components.
Status check_components(std::span<const Element> rows);

}  // namespace tenon::data
