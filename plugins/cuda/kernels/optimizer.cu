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

// Of one launch, within the 4096 bytes that its arguments may have.
constexpr int kMostUpdates = 40;
constexpr int64_t kBlockElements = 4 * kThreads;
struct AdamUpdates {
  AdamUpdate updates[kMostUpdates];
  int first_block[kMostUpdates + 1];
};

__global__ void keras_adam_elements(AdamUpdates all, int count) {
  const int block = static_cast<int>(blockIdx.x);
  int low = 0, high = count;  // the update is the last one that begins at or before the block
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (all.first_block[middle] <= block ? low : high) = middle;
  }
  const AdamUpdate& u = all.updates[low];
  const AdamScalars scalars{*u.alpha, *u.one_minus_beta1, *u.one_minus_beta2, *u.epsilon};
  const int64_t begin = (block - all.first_block[low]) * kBlockElements + threadIdx.x;
  const int64_t end = min(begin - threadIdx.x + kBlockElements, u.count);
  for (int64_t i = begin; i < end; i += kThreads) {
    adam_step(scalars, i, u.g, u.square, u.w, u.m, u.v);
  }
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

cudaError_t keras_adam(cudaStream_t stream, const AdamUpdate* updates, size_t count) {
  for (size_t at = 0; at < count;) {
    AdamUpdates all{};
    int taken = 0;
    for (; at < count && taken < kMostUpdates; ++at) {
      if (updates[at].count == 0) continue;
      const int64_t blocks = (updates[at].count + kBlockElements - 1) / kBlockElements;
      all.updates[taken] = updates[at];
      all.first_block[taken + 1] = all.first_block[taken] + static_cast<int>(blocks);
      ++taken;
    }
    if (taken == 0) break;
    keras_adam_elements<<<all.first_block[taken], kThreads, 0, stream>>>(all, taken);
    if (const cudaError_t failed = cudaGetLastError()) return failed;
  }
  return cudaSuccess;
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
