// Bias over the last dimension. The gradient is column_sum() of reduce.h.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// y[r, c] = x[r, c] + bias[c]; `y` may be `x`. T: float, double, float16, bfloat16, int32, int64.
template <class T>
void bias_add(int64_t rows, int64_t columns, const T* x, const T* bias, T* y);

}  // namespace tenon::kernels
