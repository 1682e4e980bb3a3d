// Conversion between dtypes with TensorFlow's Cast semantics: to bool is "not zero"; floats to
// integers truncate, and what does not fit gives some value but no undefined behaviour; complex to
// real drops the imaginary part. float to float16 and bfloat16 rounds to nearest even, or with
// `truncate` drops low bits (Cast's attribute Truncate).
#pragma once

#include <cstdint>

#include "tenon/core/dtype.h"

namespace tenon::kernels {

using CastKernel = void (*)(const void* x, void* y, int64_t count);

// Null when there is no such conversion (strings, resources, quantised types).
CastKernel find_cast(DType from, DType to, bool truncate = false);

// Runs `kernel` over `count` elements, split over the team.
void run_cast(CastKernel kernel, size_t from_size, const void* x, size_t to_size, void* y,
              int64_t count);

}  // namespace tenon::kernels
