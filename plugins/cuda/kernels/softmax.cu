// Softmax and the losses over it: one block for each row.
#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

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
template <class S>
struct RowSums {
  S most, sum;
};
template <class S, class T>
__device__ RowSums<S> row_sums(const T* x, int64_t columns, S* shared) {
  S most = -INFINITY;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const S value = load<S, T>(x[i]);
    most = most != most ? most : value != value ? value : most < value ? value : most;
  }
  most = block_max(most, shared);
  S sum = 0;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    sum += exp(load<S, T>(x[i]) - most);
  }
  return {most, block_sum(sum, shared)};
}

template <class T>
__global__ void softmax_rows(bool logarithm, int64_t columns, const T* x, T* y) {
  using S = typename SumOf<T>::Type;
  __shared__ S shared[kThreads];
  x += blockIdx.x * columns;
  y += blockIdx.x * columns;
  const RowSums<S> row = row_sums<S, T>(x, columns, shared);
  const S log_sum = log(row.sum);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const S above = load<S, T>(x[i]) - row.most;
    y[i] = store<T, S>(logarithm ? above - log_sum : exp(above) / row.sum);
  }
}

// A warp for each row of at most kWarpColumns.
constexpr int kWarpColumns = 1024, kWarps = kThreads / 32;
template <class T>
__global__ void softmax_warps(bool logarithm, int64_t rows, int columns, const T* x, T* y) {
  using S = typename SumOf<T>::Type;
  const int64_t row = blockIdx.x * int64_t{kWarps} + threadIdx.x / 32;
  if (row >= rows) return;
  x += row * columns;
  y += row * columns;
  const int lane = threadIdx.x % 32;
  constexpr unsigned kAll = 0xffffffffu;
  S most = -INFINITY;
  for (int i = lane; i < columns; i += 32) {
    const S value = load<S, T>(x[i]);
    most = most != most ? most : value != value ? value : most < value ? value : most;
  }
  for (int step = 16; step > 0; step /= 2) {
    const S other = __shfl_xor_sync(kAll, most, step);
    most = most != most ? most : other != other ? other : most < other ? other : most;
  }
  S sum = 0;
  for (int i = lane; i < columns; i += 32) sum += exp(load<S, T>(x[i]) - most);
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(kAll, sum, step);
  const S log_sum = log(sum);
  for (int i = lane; i < columns; i += 32) {
    const S above = load<S, T>(x[i]) - most;
    y[i] = store<T, S>(logarithm ? above - log_sum : exp(above) / sum);
  }
}

template <class T, class Label>
__global__ void sparse_loss_rows(int64_t columns, const T* x, const Label* labels, T* loss,
                                 T* gradient) {
  using S = typename SumOf<T>::Type;
  __shared__ S shared[kThreads];
  x += blockIdx.x * columns;
  gradient += blockIdx.x * columns;
  const RowSums<S> row = row_sums<S, T>(x, columns, shared);
  const int64_t label = labels[blockIdx.x];
  const bool valid = label >= 0 && label < columns;
  if (threadIdx.x == 0) {
    loss[blockIdx.x] =
        store<T, S>(valid ? log(row.sum) - (load<S, T>(x[label]) - row.most) : S(NAN));
  }
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const S probability = exp(load<S, T>(x[i]) - row.most) / row.sum;
    gradient[i] = store<T, S>(valid ? probability - (i == label ? S(1) : S(0)) : S(NAN));
  }
}

template <class T>
__global__ void loss_rows(int64_t columns, const T* x, const T* labels, T* loss, T* gradient) {
  using S = typename SumOf<T>::Type;
  __shared__ S shared[kThreads];
  x += blockIdx.x * columns;
  labels += blockIdx.x * columns;
  gradient += blockIdx.x * columns;
  const RowSums<S> row = row_sums<S, T>(x, columns, shared);
  const S log_sum = log(row.sum);
  S sum = 0;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    const S label = load<S, T>(labels[i]), above = load<S, T>(x[i]) - row.most;
    if (label != S(0)) sum += label * (log_sum - above);
    gradient[i] = store<T, S>(exp(above) / row.sum - label);
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) loss[blockIdx.x] = store<T, S>(sum);
}

int threads_for(int64_t columns) { return columns <= 32 ? 32 : kThreads; }

template <class T>
cudaError_t softmax_of(cudaStream_t stream, bool logarithm, int64_t rows, int64_t columns,
                       const void* x, void* y) {
  if (columns <= kWarpColumns) {
    const auto blocks = static_cast<unsigned>((rows + kWarps - 1) / kWarps);
    softmax_warps<T><<<blocks, kThreads, 0, stream>>>(logarithm, rows, static_cast<int>(columns),
                                                      static_cast<const T*>(x), static_cast<T*>(y));
    return cudaGetLastError();
  }
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
  if (dtype == kDouble) return softmax_of<double>(stream, logarithm, rows, columns, x, y);
  return visit_floats(dtype, [&](auto element) {
    return softmax_of<decltype(element)>(stream, logarithm, rows, columns, x, y);
  });
}

cudaError_t sparse_cross_entropy(cudaStream_t stream, int32_t dtype, int32_t label_dtype,
                                 int64_t rows, int64_t columns, const void* logits,
                                 const void* labels, void* loss, void* gradient) {
  const auto of = [&](auto element) {
    return sparse_loss_of<decltype(element)>(stream, label_dtype, rows, columns, logits, labels,
                                             loss, gradient);
  };
  return dtype == kDouble ? of(double()) : visit_floats(dtype, of);
}

cudaError_t cross_entropy(cudaStream_t stream, int32_t dtype, int64_t rows, int64_t columns,
                          const void* logits, const void* labels, void* loss, void* gradient) {
  const auto of = [&](auto element) {
    return loss_of<decltype(element)>(stream, rows, columns, logits, labels, loss, gradient);
  };
  return dtype == kDouble ? of(double()) : visit_floats(dtype, of);
}

}  // namespace plugin::cuda
