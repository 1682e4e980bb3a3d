// What reductions share: their shape function, and shapes and axes in their gradients.
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/ops/math/value.h"

namespace tenon {

// Input 1 holds the axes, attribute keep_dims says whether they stay as 1.
Status reduction_shape(ShapeContext& c);

// The rows of a batch stay apart unless axis 0 is reduced.
Rows reduction_rows(const ShapeContext& c);

// `reduced[i]`: axis i of input 0 is reduced. The axes must be known.
StatusOr<std::vector<char>> reduced_axes_of(const Tensor& axes, int rank);

// For each axis of input 0: 1 if it is reduced, else 0, as an int32 vector.
Endpoint reduced_mask(Gradient& g);

// A value shaped like the reduction's output, under the shape that keep_dims would have given it,
// so that it broadcasts against the input.
Value keep_reduced_dims(Gradient& g, Endpoint value);

}  // namespace tenon
