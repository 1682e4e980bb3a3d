// Shape functions of the matrix products.
#pragma once

#include "tenon/core/shape_context.h"

namespace tenon {

// Inputs 0 and 1 are matrices; attributes transpose_a and transpose_b.
Status matmul_shape(ShapeContext& c);
StatusOr<PartialShape> matmul_output_shape(const AttrMap& attrs, const PartialShape& a,
                                           const PartialShape& b);

// Rows of `a` times one matrix.
Rows matmul_rows(const ShapeContext& c);

// The product over the last two dimensions, the others broadcast.
StatusOr<PartialShape> batch_matmul_shape(const PartialShape& a, const PartialShape& b,
                                          bool transpose_a, bool transpose_b);

}  // namespace tenon
