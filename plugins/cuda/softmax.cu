// Softmax and the losses over it: one block for each row.
#include "plugins/cuda/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kDouble = 2, kInt32 = 3;
constexpr int kThreads = 128;

template <class T>
__device__ T block_max(T value, T* shared) {
  __syncthreads();
  shared[threadIdx.x] = value;
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) {
      const T a = shared[threadIdx.x], b = shared[threadIdx.x + step];
      shared[threadIdx.x] = a != a ? a : b != b ? b : a < b ? b : a;
    }
  }
  __syncthreads();
  return shared[0];
}

template <class T>
__device__ T block_sum(T value, T* shared) {
  __syncthreads();
  shared[threadIdx.x] = value;
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) shared[threadIdx.x] += shared[threadIdx.x + step];
  }
  __syncthreads();
  return shared[0];
}

// Of the block's row: the largest value, and the sum of exp(x - largest).
template <class T>
struct RowSums {
  T most, sum;
};
template <class T>
__device__ RowSums<T> row_sums(const T* x, int64_t columns, T* shared) {
  T most = -INFINITY;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    most = most != most ? most : x[i] != x[i] ? x[i] : most < x[i] ? x[i] : most;
  }
  most = block_max(most, shared);
  T sum = 0;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) sum += exp(x[i] - most);
  return {most, block_sum(sum, shared)};
}

template <class T>
__global__ void softmax_rows(bool logarithm, int64_t columns, const T* x, T* y) {
  __shared__ T shared[kThreads];
  x += blockIdx.x * columns;
  y += blockIdx.x * columns;
  const RowSums<T> row = row_sums(x, columns, shared);
  const T log_sum = log(row.sum);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    y[i] = logarithm ? x[i] - row.most - log_sum : exp(x[i] - row.most) / row.sum;
  }
}

template <class T, class Label>
__global__ void sparse_loss_rows(int64_t columns, const T* x, const Label* labels, T* loss,
                                 T* gradient) {
  __shared__ T shared[kThreads];
  x += blockIdx.x * columns;
  gradient += blockIdx.x * columns;
  const RowSums<T> row = row_sums(x, columns, shared);
  const int64_t label = labels[blockIdx.x];
  const bool valid = label >= 0 && label < columns;
  if (threadIdx.x == 0) loss[blockIdx.x] = valid ? log(row.sum) - (x[label] - row.most) : T(NAN);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const T probability = exp(x[i] - row.most) / row.sum;
    gradient[i] = valid ? probability - (i == label ? T(1) : T(0)) : T(NAN);
  }
}

template <class T>
__global__ void loss_rows(int64_t columns, const T* x, const T* labels, T* loss, T* gradient) {
  __shared__ T shared[kThreads];
  x += blockIdx.x * columns;
  labels += blockIdx.x * columns;
  gradient += blockIdx.x * columns;
  const RowSums<T> row = row_sums(x, columns, shared);
  const T log_sum = log(row.sum);
  T sum = 0;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const T label = labels[i];
    if (label != T(0)) sum += label * (log_sum - (x[i] - row.most));
    gradient[i] = exp(x[i] - row.most) / row.sum - label;
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) loss[blockIdx.x] = sum;
}

int threads_for(int64_t columns) { return columns <= 32 ? 32 : kThreads; }

template <class T>
cudaError_t softmax_of(cudaStream_t stream, bool logarithm, int64_t rows, int64_t columns,
                       const void* x, void* y) {
  softmax_rows<T><<<static_cast<unsigned>(rows), threads_for(columns), 0, stream>>>(
      logarithm, columns, static_cast<const T*>(x), static_cast<T*>(y));
  return cudaGetLastError();
}

template <class T>
cudaError_t sparse_loss_of(cudaStream_t stream, int32_t label_dtype, int64_t rows, int64_t columns,
                           const void* x, const void* labels, void* loss, void* gradient) {
  const auto blocks = static_cast<unsigned>(rows);
  if (label_dtype == kInt32) {
    sparse_loss_rows<T, int32_t><<<blocks, threads_for(columns), 0, stream>>>(
        columns, static_cast<const T*>(x), static_cast<const int32_t*>(labels),
        static_cast<T*>(loss), static_cast<T*>(gradient));
  } else {
    sparse_loss_rows<T, int64_t><<<blocks, threads_for(columns), 0, stream>>>(
        columns, static_cast<const T*>(x), static_cast<const int64_t*>(labels),
        static_cast<T*>(loss), static_cast<T*>(gradient));
  }
  return cudaGetLastError();
}

template <class T>
cudaError_t loss_of(cudaStream_t stream, int64_t rows, int64_t columns, const void* x,
                    const void* labels, void* loss, void* gradient) {
  loss_rows<T><<<static_cast<unsigned>(rows), threads_for(columns), 0, stream>>>(
      columns, static_cast<const T*>(x), static_cast<const T*>(labels), static_cast<T*>(loss),
      static_cast<T*>(gradient));
  return cudaGetLastError();
}

}  // namespace

cudaError_t softmax(cudaStream_t stream, int32_t dtype, bool logarithm, int64_t rows,
                    int64_t columns, const void* x, void* y) {
  return dtype == kDouble ? softmax_of<double>(stream, logarithm, rows, columns, x, y)
                          : softmax_of<float>(stream, logarithm, rows, columns, x, y);
}

cudaError_t sparse_cross_entropy(cudaStream_t stream, int32_t dtype, int32_t label_dtype,
                                 int64_t rows, int64_t columns, const void* logits,
                                 const void* labels, void* loss, void* gradient) {
  const auto of = dtype == kDouble ? sparse_loss_of<double> : sparse_loss_of<float>;
  return of(stream, label_dtype, rows, columns, logits, labels, loss, gradient);
}

cudaError_t cross_entropy(cudaStream_t stream, int32_t dtype, int64_t rows, int64_t columns,
                          const void* logits, const void* labels, void* loss, void* gradient) {
  const auto of = dtype == kDouble ? loss_of<double> : loss_of<float>;
  return of(stream, rows, columns, logits, labels, loss, gradient);
}

}  // namespace plugin::cuda
