// What the random ops share: filling an output from a generator, by distribution and dtype.
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/kernels/philox.h"

namespace tenon {

enum class Distribution : uint8_t { kUniform, kNormal, kTruncatedNormal, kFullInt };

// Fills `count` elements of `y`.
using RandomFill = void (*)(kernels::Philox generator, int64_t count, void* y);

// Null when the distribution has no values of that dtype.
RandomFill find_random_fill(Distribution distribution, DType dtype);

// Integers in [low, high), which are scalars of the output's dtype. INVALID_ARGUMENT unless
// low < high. UNIMPLEMENTED for other dtypes.
Status fill_random_int(kernels::Philox generator, const Tensor& low, const Tensor& high,
                       Tensor& output);

// Output 0 has the shape that input 0 holds.
Status random_shape(ShapeContext& c);
// The same, and inputs `low` and `low + 1` are scalars.
template <int low>
Status random_int_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(low, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(low + 1, 0));
  return random_shape(c);
}

}  // namespace tenon
