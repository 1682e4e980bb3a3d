// Copies between n-dimensional views: the engine of Slice, StridedSlice, Concat, Split, Pad, Pack,
// Reverse, SpaceToDepth and their gradients.
#pragma once

#include "tenon/core/dtype.h"
#include "tenon/core/shape.h"

namespace tenon::kernels {

// Strides are in elements and may be negative or (source only) 0.
struct StridedCopy {
  Dims dims;
  Dims source_strides;
  Dims target_strides;
};

// Row-major strides of a contiguous tensor.
Dims contiguous_strides(std::span<const int64_t> dims);

// Drops dimensions of one and merges neighbours; run() works on any copy, faster on a simplified
// one.
StridedCopy simplify(const StridedCopy& copy);

// Elements of any size; source and target do not overlap. Splits over the team.
void run(const StridedCopy& copy, size_t element_size, const void* source, void* target);

// Adds instead of copying; distinct elements of the copy must have distinct targets. False when
// dtype is not numeric.
bool run_add(const StridedCopy& copy, DType dtype, const void* source, void* target);

// Concatenation of [outer, sizes[i], inner] along the middle axis, and its inverse.
void concat(size_t element_size, int64_t outer, std::span<const int64_t> sizes, int64_t inner,
            std::span<const void* const> inputs, void* y);
void split(size_t element_size, int64_t outer, std::span<const int64_t> sizes, int64_t inner,
           const void* x, std::span<void* const> outputs);

// y[before + i] = x[i], `value` elsewhere. `padding` holds before and after per axis, none
// negative.
void pad(size_t element_size, const Shape& shape, std::span<const int64_t> before,
         std::span<const int64_t> after, const void* x, const void* value, void* y);

}  // namespace tenon::kernels
