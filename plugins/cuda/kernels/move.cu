// Kernels that only move elements; they look at their size alone.
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kInt32 = 3;
constexpr int kThreads = 256;

unsigned blocks_for(int64_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

// Index holds `count`: divisions of 32 bits are several times as fast.
template <class T, class Index>
__global__ void move_elements(MoveShape s, int64_t count, const T* x, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  auto rest = static_cast<Index>(at);
  int64_t from = 0, to = 0;
  for (int axis = s.rank; axis-- > 0;) {
    const auto dim = static_cast<Index>(s.dims[axis]);
    const auto place = static_cast<int64_t>(rest % dim);
    rest /= dim;
    from += place * s.x_strides[axis];
    to += place * s.y_strides[axis];
  }
  y[to] = x[from];
}

template <class T>
__global__ void fill_elements(int64_t count, const T* value, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at < count) y[at] = *value;
}

template <class Index>
__global__ void gather_bytes(int64_t rows, int64_t count, int64_t words, int64_t total,
                             const uint32_t* x, const Index* indices, uint32_t* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= total) return;
  const int64_t word = at % words, place = at / words;
  const int64_t outer = place / count, row = indices[place % count];
  y[at] = row >= 0 && row < rows ? x[(outer * rows + row) * words + word] : 0;
}

template <class T, class Index>
__global__ void one_hot_elements(int64_t depth, int64_t inner, int64_t total, const Index* indices,
                                 const T* on, const T* off, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= total) return;
  const int64_t place = at / (depth * inner) * inner + at % inner;
  y[at] = static_cast<int64_t>(indices[place]) == at / inner % depth ? *on : *off;
}

template <class T>
cudaError_t move_of(cudaStream_t stream, const MoveShape& s, int64_t count, const void* x,
                    void* y) {
  const auto kernel = count <= INT32_MAX ? move_elements<T, uint32_t> : move_elements<T, uint64_t>;
  kernel<<<blocks_for(count), kThreads, 0, stream>>>(s, count, static_cast<const T*>(x),
                                                     static_cast<T*>(y));
  return cudaGetLastError();
}

template <class T>
cudaError_t fill_of(cudaStream_t stream, int64_t count, const void* value, void* y) {
  fill_elements<T><<<blocks_for(count), kThreads, 0, stream>>>(count, static_cast<const T*>(value),
                                                               static_cast<T*>(y));
  return cudaGetLastError();
}

template <class T>
cudaError_t one_hot_of(cudaStream_t stream, int32_t index_dtype, int64_t depth, int64_t inner,
                       int64_t total, const void* indices, const void* on, const void* off,
                       void* y) {
  const auto* a = static_cast<const T*>(on);
  const auto* b = static_cast<const T*>(off);
  if (index_dtype == kInt32) {
    one_hot_elements<<<blocks_for(total), kThreads, 0, stream>>>(
        depth, inner, total, static_cast<const int32_t*>(indices), a, b, static_cast<T*>(y));
  } else {
    one_hot_elements<<<blocks_for(total), kThreads, 0, stream>>>(
        depth, inner, total, static_cast<const int64_t*>(indices), a, b, static_cast<T*>(y));
  }
  return cudaGetLastError();
}

// Neighbours along the last axis as elements of `wide` bytes, where all addresses allow it.
bool widen(MoveShape& s, size_t bytes, size_t wide, const void* x, const void* y) {
  const auto many = static_cast<int64_t>(wide / bytes);
  const int last = s.rank - 1;
  if (last < 0 || s.x_strides[last] != 1 || s.y_strides[last] != 1 || s.dims[last] % many != 0 ||
      reinterpret_cast<uintptr_t>(x) % wide != 0 || reinterpret_cast<uintptr_t>(y) % wide != 0) {
    return false;
  }
  for (int axis = 0; axis < last; ++axis) {
    if (s.x_strides[axis] % many != 0 || s.y_strides[axis] % many != 0) return false;
  }
  for (int axis = 0; axis < last; ++axis) {
    s.x_strides[axis] /= many;
    s.y_strides[axis] /= many;
  }
  s.dims[last] /= many;
  return true;
}

}  // namespace

cudaError_t move(cudaStream_t stream, size_t element_bytes, const MoveShape& shape, const void* x,
                 void* y) {
  MoveShape s = shape;
  for (size_t wide = 16; wide > element_bytes; wide /= 2) {
    if (!widen(s, element_bytes, wide, x, y)) continue;
    element_bytes = wide;
    break;
  }
  int64_t count = 1;
  for (int axis = 0; axis < s.rank; ++axis) count *= s.dims[axis];
  if (count == 0) return cudaSuccess;
  switch (element_bytes) {
    case 1:
      return move_of<uint8_t>(stream, s, count, x, y);
    case 2:
      return move_of<uint16_t>(stream, s, count, x, y);
    case 4:
      return move_of<uint32_t>(stream, s, count, x, y);
    case 8:
      return move_of<uint64_t>(stream, s, count, x, y);
    case 16:
      return move_of<uint4>(stream, s, count, x, y);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t fill(cudaStream_t stream, size_t element_bytes, int64_t count, const void* value,
                 void* y) {
  if (count == 0) return cudaSuccess;
  if (!value) return cudaMemsetAsync(y, 0, static_cast<size_t>(count) * element_bytes, stream);
  switch (element_bytes) {
    case 1:
      return fill_of<uint8_t>(stream, count, value, y);
    case 2:
      return fill_of<uint16_t>(stream, count, value, y);
    case 4:
      return fill_of<uint32_t>(stream, count, value, y);
    case 8:
      return fill_of<uint64_t>(stream, count, value, y);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t gather(cudaStream_t stream, int32_t index_dtype, int64_t outer, int64_t rows,
                   int64_t count, int64_t row_bytes, const void* x, const void* indices, void* y) {
  const int64_t words = row_bytes / 4, total = outer * count * words;
  if (total == 0) return cudaSuccess;
  const auto* from = static_cast<const uint32_t*>(x);
  auto* to = static_cast<uint32_t*>(y);
  if (index_dtype == kInt32) {
    gather_bytes<<<blocks_for(total), kThreads, 0, stream>>>(
        rows, count, words, total, from, static_cast<const int32_t*>(indices), to);
  } else {
    gather_bytes<<<blocks_for(total), kThreads, 0, stream>>>(
        rows, count, words, total, from, static_cast<const int64_t*>(indices), to);
  }
  return cudaGetLastError();
}

cudaError_t one_hot(cudaStream_t stream, size_t element_bytes, int32_t index_dtype, int64_t outer,
                    int64_t depth, int64_t inner, const void* indices, const void* on,
                    const void* off, void* y) {
  const int64_t total = outer * depth * inner;
  if (total == 0) return cudaSuccess;
  const auto of = element_bytes == 1   ? one_hot_of<uint8_t>
                  : element_bytes == 2 ? one_hot_of<uint16_t>
                  : element_bytes == 4 ? one_hot_of<uint32_t>
                                       : one_hot_of<uint64_t>;
  return of(stream, index_dtype, depth, inner, total, indices, on, off, y);
}

}  // namespace plugin::cuda
