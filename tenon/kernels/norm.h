// Batch and layer normalisation over the last dimension's channels. float32; statistics are summed
// in a fixed order in float64: same bits for any team size.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// x, y: [rows, channels]; the rest [channels]. `variance` is the biased one (divided by rows).
// y = (x - mean) / sqrt(variance + epsilon) * scale + offset.
void batch_norm_training(int64_t rows, int64_t channels, const float* x, const float* scale,
                         const float* offset, float epsilon, float* y, float* mean,
                         float* variance);

void batch_norm_inference(int64_t rows, int64_t channels, const float* x, const float* scale,
                          const float* offset, const float* mean, const float* variance,
                          float epsilon, float* y);

// Gradients of the training form; `mean` and `variance` are what it wrote.
void batch_norm_training_gradient(int64_t rows, int64_t channels, const float* dy, const float* x,
                                  const float* scale, const float* mean, const float* variance,
                                  float epsilon, float* dx, float* d_scale, float* d_offset);
// Of the inference form.
void batch_norm_inference_gradient(int64_t rows, int64_t channels, const float* dy, const float* x,
                                   const float* scale, const float* mean, const float* variance,
                                   float epsilon, float* dx, float* d_scale, float* d_offset);

// Normalises each row; `scale` and `offset` are [columns] and may be null.
void layer_norm(int64_t rows, int64_t columns, const float* x, const float* scale,
                const float* offset, float epsilon, float* y);

}  // namespace tenon::kernels
