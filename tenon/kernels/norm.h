// Batch and layer normalisation over the last dimension's channels. float32; statistics are summed
// in a fixed order in float64: same bits for any team size.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// Of [rows, channels] (at least one row); the pointers are to [channels].
struct BatchNorm {
  int64_t rows, channels;
  float epsilon;
  const float* scale;
  const float* mean = nullptr;
  const float* variance = nullptr;  // biased: divided by rows

  BatchNorm with(const float* of_mean, const float* of_variance) const {
    return {rows, channels, epsilon, scale, of_mean, of_variance};
  }
};

// Floats of scratch that each of the following needs in `factors`.
constexpr int64_t batch_norm_factors(int64_t channels) { return 3 * channels; }

// y = (x - mean) / sqrt(variance + epsilon) * scale + offset, of mean and variance of x's rows,
// which are written.
void batch_norm_training(const BatchNorm& n, const float* x, const float* offset, float* y,
                         float* mean, float* variance, float* factors);
// The same of n's mean and variance.
void batch_norm_inference(const BatchNorm& n, const float* x, const float* offset, float* y,
                          float* factors);

// Gradients of the training form; n's mean and variance are what it wrote.
void batch_norm_training_gradient(const BatchNorm& n, const float* dy, const float* x, float* dx,
                                  float* d_scale, float* d_offset, float* factors);
// Of the inference form.
void batch_norm_inference_gradient(const BatchNorm& n, const float* dy, const float* x, float* dx,
                                   float* d_scale, float* d_offset, float* factors);

// Normalises each row; `scale` and `offset` are [columns] and may be null.
void layer_norm(int64_t rows, int64_t columns, const float* x, const float* scale,
                const float* offset, float epsilon, float* y);

}  // namespace tenon::kernels
