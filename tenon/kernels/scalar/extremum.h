// The larger or smaller of two numbers as TensorFlow's reductions, segments and scatters pick it:
// a < b ? b : a, or b < a ? b : a. Where one is NaN that is a, so the order of arguments matters.
#pragma once

#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {

// Null for a dtype without an order.
BinaryKernel find_extremum(bool largest, DType dtype);

}  // namespace tenon::kernels
