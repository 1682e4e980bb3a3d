// Reductions: a block for each row, or a column of threads for each column, always added in the
// same order.
#include <type_traits>

#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 32, kRows = 8;  // of a block of the columns' kernel
constexpr int64_t kMostParts = 128;      // that one reduction is cut into
constexpr int64_t kLeastReduced = 4096;  // that pays to be cut
constexpr int64_t kFewResults = int64_t{1} << 14;

template <class S>
struct Limits;
template <>
struct Limits<float> {
  static __device__ float lowest() { return -INFINITY; }
  static __device__ float highest() { return INFINITY; }
};
template <>
struct Limits<double> {
  static __device__ double lowest() { return -INFINITY; }
  static __device__ double highest() { return INFINITY; }
};
template <>
struct Limits<int32_t> {
  static __device__ int32_t lowest() { return INT32_MIN; }
  static __device__ int32_t highest() { return INT32_MAX; }
};
template <>
struct Limits<int64_t> {
  static __device__ int64_t lowest() { return INT64_MIN; }
  static __device__ int64_t highest() { return INT64_MAX; }
};
template <>
struct Limits<bool> {
  static __device__ bool lowest() { return false; }
  static __device__ bool highest() { return true; }
};

template <class S>
__device__ S neutral(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
    case ReduceOp::kAny:
      return S(0);
    case ReduceOp::kProd:
    case ReduceOp::kAll:
      return S(1);
    case ReduceOp::kMax:
      return Limits<S>::lowest();
    default:
      return Limits<S>::highest();
  }
}

template <class S>
__device__ S combine(ReduceOp op, S a, S b) {
  switch (op) {
    case ReduceOp::kSum:
      return a + b;
    case ReduceOp::kProd:
      return a * b;
    case ReduceOp::kMax:
      return a != a ? a : b != b ? b : a < b ? b : a;
    case ReduceOp::kMin:
      return a != a ? a : b != b ? b : b < a ? b : a;
    case ReduceOp::kAll:
      return S(a && b);
    default:
      return S(a || b);
  }
}

// [outer, reduced, inner] of which block (z, part) takes rows [part * length, ...): results go to
// y [outer, parts, inner], or [outer, inner] of the last pass.
struct Pass {
  int64_t reduced, inner, length, parts;
};

// inner is 1: the threads of a block take turns along the row.
template <class S, class X, class Y>
__global__ void reduce_rows(ReduceOp op, Pass pass, S scale, const X* x, Y* y) {
  __shared__ S sums[kThreads];
  const int64_t row = blockIdx.x / pass.parts, part = blockIdx.x % pass.parts;
  const int64_t first = part * pass.length;
  const int64_t last = min(first + pass.length, pass.reduced);
  const X* from = x + row * pass.reduced;
  S sum = neutral<S>(op);
  for (int64_t i = first + threadIdx.x; i < last; i += blockDim.x) {
    sum = combine<S>(op, sum, load<S, X>(from[i]));
  }
  sums[threadIdx.x] = sum;
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) {
      sums[threadIdx.x] = combine<S>(op, sums[threadIdx.x], sums[threadIdx.x + step]);
    }
  }
  if (threadIdx.x == 0) y[blockIdx.x] = store<Y, S>(sums[0] * scale);
}

// Threads stand beside each other along `inner`.
template <class S, class X, class Y>
__global__ void reduce_columns(ReduceOp op, Pass pass, S scale, const X* x, Y* y) {
  __shared__ S sums[kRows][kColumns];
  const int64_t stripes = (pass.inner + kColumns - 1) / kColumns;
  const int64_t column = blockIdx.x % stripes * kColumns + threadIdx.x;
  const int64_t group = blockIdx.x / stripes;
  const int64_t outer = group / pass.parts, part = group % pass.parts;
  const int64_t first = part * pass.length;
  const int64_t last = min(first + pass.length, pass.reduced);
  S sum = neutral<S>(op);
  if (column < pass.inner) {
    for (int64_t i = first + threadIdx.y; i < last; i += kRows) {
      sum = combine<S>(op, sum, load<S, X>(x[(outer * pass.reduced + i) * pass.inner + column]));
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  for (int step = kRows / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.y < step) {
      sums[threadIdx.y][threadIdx.x] =
          combine<S>(op, sums[threadIdx.y][threadIdx.x], sums[threadIdx.y + step][threadIdx.x]);
    }
  }
  if (threadIdx.y == 0 && column < pass.inner) {
    y[group * pass.inner + column] = store<Y, S>(sums[0][threadIdx.x] * scale);
  }
}

// inner is 1, and rows are short: a warp for each.
constexpr int64_t kWarpReduced = 1024;
constexpr int kWarps = kThreads / 32;
template <class S, class X, class Y>
__global__ void reduce_short_rows(ReduceOp op, int64_t rows, int reduced, S scale, const X* x,
                                  Y* y) {
  const int64_t row = blockIdx.x * int64_t{kWarps} + threadIdx.x / 32;
  if (row >= rows) return;
  const X* from = x + row * reduced;
  S sum = neutral<S>(op);
  for (int i = threadIdx.x % 32; i < reduced; i += 32) {
    sum = combine<S>(op, sum, load<S, X>(from[i]));
  }
  for (int step = 16; step > 0; step /= 2) {
    sum = combine<S>(op, sum, static_cast<S>(__shfl_down_sync(0xffffffffu, sum, step)));
  }
  if (threadIdx.x % 32 == 0) y[row] = store<Y, S>(sum * scale);
}

// Sums of the columns of x [rows, columns] by parts, times `scale`: sums [parts, columns].
template <class T, int V, class Y>
__global__ void sum_columns(Blocks b, int64_t rows, int64_t columns, float scale, const T* x,
                            Y* sums) {
  __shared__ float shared[V][kBlockThreads];
  const int64_t stripe = blockIdx.x % b.stripes, part = blockIdx.x / b.stripes;
  const int64_t first = part * b.length, last = min(first + b.length, rows);
  const int64_t column = (stripe * blockDim.x + threadIdx.x) * V;
  const bool inside = column < columns;
  float own[V] = {};
#pragma unroll 4
  for (int64_t row = first + threadIdx.y; inside && row < last; row += blockDim.y) {
    float values[V];
    load_pack<T, V>(x + row * columns + column, values);
#pragma unroll
    for (int v = 0; v < V; ++v) own[v] += values[v];
  }
  const int at = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int v = 0; v < V; ++v) shared[v][at] = own[v];
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
#pragma unroll
      for (int v = 0; v < V; ++v) shared[v][at] += shared[v][at + half * blockDim.x];
    }
  }
  if (threadIdx.y == 0 && inside) {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      sums[part * columns + column + v] = store<Y, float>(shared[v][at] * scale);
    }
  }
}

constexpr int kMergedColumns = 8, kMergers = 32;
template <class T>
__global__ void merge_parts(int64_t parts, int64_t columns, float scale, const float* sums, T* y) {
  __shared__ float shared[kMergers][kMergedColumns];
  const int64_t column = blockIdx.x * int64_t{kMergedColumns} + threadIdx.x;
  float sum = 0;
  for (int64_t part = threadIdx.y; column < columns && part < parts; part += kMergers) {
    sum += sums[part * columns + column];
  }
  shared[threadIdx.y][threadIdx.x] = sum;
  for (int half = kMergers / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
      shared[threadIdx.y][threadIdx.x] += shared[threadIdx.y + half][threadIdx.x];
    }
  }
  if (threadIdx.y == 0 && column < columns) {
    y[column] = store<T, float>(shared[0][threadIdx.x] * scale);
  }
}

// Sums of float columns that are not cut by reduce_columns().
bool sums_columns(ReduceOp op, const ReduceShape& s) {
  return op == ReduceOp::kSum && s.outer == 1 && s.inner > 1 && s.reduced >= 64;
}
Blocks column_blocks(const ReduceShape& s, int width) {
  return blocks_of(s.reduced, (s.inner + width - 1) / width, 512, 8);
}

template <class T, int V>
cudaError_t sum_columns_by(cudaStream_t stream, const ReduceShape& s, double scale, const void* x,
                           void* y, void* scratch) {
  const Blocks b = column_blocks(s, V);
  const auto* values = static_cast<const T*>(x);
  if (b.parts == 1) {
    sum_columns<T, V, T><<<b.grid(), b.threads(), 0, stream>>>(
        b, s.reduced, s.inner, static_cast<float>(scale), values, static_cast<T*>(y));
    return cudaGetLastError();
  }
  auto* sums = static_cast<float*>(scratch);
  sum_columns<T, V, float>
      <<<b.grid(), b.threads(), 0, stream>>>(b, s.reduced, s.inner, 1, values, sums);
  return sum_parts(stream, dtype_of<T>(), b.parts, s.inner, scale, sums, y);
}

int64_t parts_of(const ReduceShape& s) {
  if (s.outer * s.inner >= kFewResults || s.reduced < 2 * kLeastReduced) {
    // Columns are walked through by few threads each.
    if (s.inner == 1 || s.outer * s.inner >= kFewResults || s.reduced < 512) return 1;
    return std::min<int64_t>(kMostParts, s.reduced / 256);
  }
  return std::min(kMostParts, s.reduced / kLeastReduced);
}

template <class S, class X, class Y>
cudaError_t reduce_pass(cudaStream_t stream, ReduceOp op, const ReduceShape& s, int64_t parts,
                        double scale, const X* x, Y* y) {
  const Pass pass{s.reduced, s.inner, (s.reduced + parts - 1) / parts, parts};
  const int64_t groups = s.outer * parts;
  if (s.inner == 1) {
    const int threads = pass.length <= 32 ? 32 : pass.length <= 128 ? 128 : kThreads;
    reduce_rows<S, X, Y><<<static_cast<unsigned>(groups), threads, 0, stream>>>(
        op, pass, static_cast<S>(scale), x, y);
  } else {
    const auto grid = static_cast<unsigned>((s.inner + kColumns - 1) / kColumns * groups);
    reduce_columns<S, X, Y>
        <<<grid, dim3(kColumns, kRows), 0, stream>>>(op, pass, static_cast<S>(scale), x, y);
  }
  return cudaGetLastError();
}

template <class T>
cudaError_t reduce_of(cudaStream_t stream, ReduceOp op, const ReduceShape& s, double scale,
                      const void* x, void* y, void* scratch) {
  using S = typename SumOf<T>::Type;
  if constexpr (std::is_same<S, float>::value) {
    if (sums_columns(op, s)) {
      const auto by =
          s.inner % kPackOf16<T> == 0 ? sum_columns_by<T, kPackOf16<T>> : sum_columns_by<T, 1>;
      return by(stream, s, scale, x, y, scratch);
    }
  }
  if constexpr (!std::is_same<S, bool>::value) {
    if (s.inner == 1 && s.reduced <= kWarpReduced && s.outer >= kWarps) {
      const auto blocks = static_cast<unsigned>((s.outer + kWarps - 1) / kWarps);
      reduce_short_rows<S, T, T><<<blocks, kThreads, 0, stream>>>(
          op, s.outer, static_cast<int>(s.reduced), static_cast<S>(scale), static_cast<const T*>(x),
          static_cast<T*>(y));
      return cudaGetLastError();
    }
  }
  const int64_t parts = parts_of(s);
  if (parts == 1) {
    return reduce_pass<S, T, T>(stream, op, s, 1, scale, static_cast<const T*>(x),
                                static_cast<T*>(y));
  }
  auto* sums = static_cast<S*>(scratch);
  if (const cudaError_t failed =
          reduce_pass<S, T, S>(stream, op, s, parts, 1, static_cast<const T*>(x), sums)) {
    return failed;
  }
  return reduce_pass<S, S, T>(stream, op, {s.outer, parts, s.inner}, 1, scale, sums,
                              static_cast<T*>(y));
}

template <class T, class Index>
__global__ void arg_rows(bool largest, ReduceShape s, const T* x, Index* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= s.outer * s.inner) return;
  const T* from = x + at / s.inner * s.reduced * s.inner + at % s.inner;
  int64_t best = 0;
  for (int64_t i = 1; i < s.reduced; ++i) {
    const auto a = from[i * s.inner], b = from[best * s.inner];
    // A NaN is beaten by any number, as in TensorFlow.
    if ((largest ? a > b : a < b) || (b != b && a == a)) best = i;
  }
  y[at] = static_cast<Index>(best);
}

template <class T>
cudaError_t arg_of(cudaStream_t stream, bool largest, int32_t index_dtype, const ReduceShape& s,
                   const void* x, void* y) {
  const auto blocks = static_cast<unsigned>((s.outer * s.inner + kThreads - 1) / kThreads);
  if (index_dtype == kInt32) {
    arg_rows<T, int32_t><<<blocks, kThreads, 0, stream>>>(largest, s, static_cast<const T*>(x),
                                                          static_cast<int32_t*>(y));
  } else {
    arg_rows<T, int64_t><<<blocks, kThreads, 0, stream>>>(largest, s, static_cast<const T*>(x),
                                                          static_cast<int64_t*>(y));
  }
  return cudaGetLastError();
}

}  // namespace

size_t reduce_scratch(const ReduceShape& s) {
  const int64_t parts = parts_of(s);
  size_t bytes = parts == 1 ? 0 : static_cast<size_t>(s.outer * parts * s.inner) * sizeof(double);
  for (const int width : {1, kPackOf16<float>, kPackOf16<__half>}) {
    if (!sums_columns(ReduceOp::kSum, s)) break;
    const auto sums = static_cast<size_t>(column_blocks(s, width).parts * s.inner);
    bytes = bytes < sums * sizeof(float) ? sums * sizeof(float) : bytes;
  }
  return bytes;
}

cudaError_t reduce(cudaStream_t stream, ReduceOp op, int32_t dtype, const ReduceShape& s,
                   double scale, const void* x, void* y, void* scratch) {
  if (dtype == kBool) return reduce_of<bool>(stream, op, s, scale, x, y, scratch);
  return visit_numbers(dtype, [&](auto element) {
    return reduce_of<decltype(element)>(stream, op, s, scale, x, y, scratch);
  });
}

cudaError_t sum_parts(cudaStream_t stream, int32_t dtype, int64_t parts, int64_t columns,
                      double scale, const float* sums, void* y) {
  const auto blocks = static_cast<unsigned>((columns + kMergedColumns - 1) / kMergedColumns);
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    merge_parts<<<blocks, dim3(kMergedColumns, kMergers), 0, stream>>>(
        parts, columns, static_cast<float>(scale), sums, static_cast<T*>(y));
    return cudaGetLastError();
  });
}

cudaError_t arg_extreme(cudaStream_t stream, bool largest, int32_t dtype, int32_t index_dtype,
                        const ReduceShape& s, const void* x, void* y) {
  switch (dtype) {
    case kFloat:
      return arg_of<float>(stream, largest, index_dtype, s, x, y);
    case kDouble:
      return arg_of<double>(stream, largest, index_dtype, s, x, y);
    case kInt32:
      return arg_of<int32_t>(stream, largest, index_dtype, s, x, y);
    case kInt64:
      return arg_of<int64_t>(stream, largest, index_dtype, s, x, y);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace plugin::cuda
