// Optimizer steps (formulas: tensorflow/core/kernels/training_ops.cc, tenon/ops/state).
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kThreads = 256;

unsigned blocks_for(int64_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

struct AdamScalars {
  float alpha, one_minus_beta1, one_minus_beta2, epsilon;
};

// `square` is null where it is the gradient's.
__device__ void adam_step(const AdamScalars& p, int64_t i, const float* g, const float* square,
                          float* w, float* m, float* v) {
  const float slope = g[i], squared = square ? square[i] : slope * slope;
  const float mean = m[i] + (slope - m[i]) * p.one_minus_beta1;
  const float squares = v[i] + (squared - v[i]) * p.one_minus_beta2;
  m[i] = mean;
  v[i] = squares;
  w[i] -= p.alpha * mean / (sqrtf(squares) + p.epsilon);
}

__global__ void keras_adam_elements(int64_t count, const float* alpha, const float* beta1,
                                    const float* beta2, const float* epsilon, const float* g,
                                    const float* square, float* w, float* m, float* v) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i < count) adam_step({*alpha, *beta1, *beta2, *epsilon}, i, g, square, w, m, v);
}

struct AdamInputs {
  const float* scalars[6];  // beta1_power, beta2_power, lr, beta1, beta2, epsilon
};

__global__ void adam_elements(int64_t count, AdamInputs s, const float* g, float* w, float* m,
                              float* v) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= count) return;
  const float alpha = *s.scalars[2] * sqrtf(1 - *s.scalars[1]) / (1 - *s.scalars[0]);
  adam_step({alpha, 1 - *s.scalars[3], 1 - *s.scalars[4], *s.scalars[5]}, i, g, nullptr, w, m, v);
}

__global__ void descent_elements(int64_t count, const float* lr, const float* g, float* w) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i < count) w[i] -= *lr * g[i];
}

}  // namespace

cudaError_t keras_adam(cudaStream_t stream, int64_t count, const float* alpha,
                       const float* one_minus_beta1, const float* one_minus_beta2,
                       const float* epsilon, const float* g, const float* square, float* w,
                       float* m, float* v) {
  if (count == 0) return cudaSuccess;
  keras_adam_elements<<<blocks_for(count), kThreads, 0, stream>>>(
      count, alpha, one_minus_beta1, one_minus_beta2, epsilon, g, square, w, m, v);
  return cudaGetLastError();
}

cudaError_t adam(cudaStream_t stream, int64_t count, const float* const scalars[6], const float* g,
                 float* w, float* m, float* v) {
  if (count == 0) return cudaSuccess;
  AdamInputs inputs;
  for (int i = 0; i < 6; ++i) inputs.scalars[i] = scalars[i];
  adam_elements<<<blocks_for(count), kThreads, 0, stream>>>(count, inputs, g, w, m, v);
  return cudaGetLastError();
}

cudaError_t gradient_descent(cudaStream_t stream, int64_t count, const float* lr, const float* g,
                             float* w) {
  if (count == 0) return cudaSuccess;
  descent_elements<<<blocks_for(count), kThreads, 0, stream>>>(count, lr, g, w);
  return cudaGetLastError();
}

}  // namespace plugin::cuda
