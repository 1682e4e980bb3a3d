// Vectorised float32 loops over one row, that reductions, pooling, softmax, normalisation and
// biases are made of. Private to this folder.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// For this processor; fetch it once per call of a kernel.
struct RowOps {
  // y[i] = max(y[i], x[i]); a NaN in x is taken over.
  void (*maximum)(int64_t count, const float* x, float* y);
  void (*minimum)(int64_t count, const float* x, float* y);
  // y[i] += x[i].
  void (*add)(int64_t count, const float* x, float* y);
  // y[i] = the sum of x[r * stride + i] over `rows` rows, in their order, starting from 0.
  void (*sum_rows)(int64_t rows, int64_t columns, int64_t stride, const float* x, float* y);
  // y[i] += (x[i] - center[i])^2 in double.
  void (*add_square_difference)(int64_t count, const float* x, const float* center, double* y);
  // y[i] += x[i], and y[i] += a[i] * (x[i] - center[i]), in double.
  void (*add_to_double)(int64_t count, const float* x, double* y);
  void (*add_product_to_double)(int64_t count, const float* a, const float* x, const float* center,
                                double* y);
  // y[i] = x[i] * scale[i] + shift[i].
  void (*affine)(int64_t count, const float* x, const float* scale, const float* shift, float* y);
  // y[i] = a[i] * p[i] + x[i] * q[i] + r[i].
  void (*affine_two)(int64_t count, const float* a, const float* p, const float* x, const float* q,
                     const float* r, float* y);
  // y[i] = exp(x[i] - shift), with the bits of UnaryOp::kExp; `y` may be `x`.
  void (*exp_minus)(int64_t count, const float* x, float shift, float* y);
  // Pairwise: blocks of 128 elements summed in a fixed number of lanes (16), blocks added in a
  // tree.
  float (*sum)(int64_t count, const float* x);
  float (*sum_squares)(int64_t count, const float* x);
  float (*dot)(int64_t count, const float* x, const float* y);
  float (*largest)(int64_t count, const float* x);   // NaN if any is; -infinity when empty
  float (*smallest)(int64_t count, const float* x);  // NaN if any is; infinity when empty
};

const RowOps& row_ops();

}  // namespace tenon::kernels
