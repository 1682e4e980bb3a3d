// Convolutions of each channel by itself, channels last: a thread for some neighbouring channels of
// a result; the gradient of the filter is the sums of parts of the images.
#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kThreads = kBlockThreads;
constexpr int kWidth = 4;     // neighbouring channels, where each gives one result
constexpr int kMostTaps = 8;  // of a row of the filter that one thread adds up
constexpr int64_t kWantedBlocks = 1024;
constexpr int64_t kLeastRows = 16;  // of a thread

// Element `at` of packs of [batch, height, width, channels].
struct Place {
  int64_t image;
  int h, w, c;
};
template <int V>
__device__ Place place_of(int64_t at, int height, int width, int channels) {
  const int packs = channels / V;
  Place p;
  p.c = static_cast<int>(at % packs) * V;
  at /= packs;
  p.w = static_cast<int>(at % width);
  at /= width;
  p.h = static_cast<int>(at % height);
  p.image = at / height;
  return p;
}

template <class T, int V>
__global__ void forward(DepthwiseShape s, int64_t count, const T* x, const T* filter, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const int results = s.channels * s.multiplier;
  const Place p = place_of<V>(at, s.out_h, s.out_w, results);
  float sums[V] = {};
  for (int th = 0; th < s.size_h; ++th) {
    const int h = p.h * s.stride_h - s.pad_h + th * s.dilation_h;
    if (h < 0 || h >= s.in_h) continue;
    for (int tw = 0; tw < s.size_w; ++tw) {
      const int w = p.w * s.stride_w - s.pad_w + tw * s.dilation_w;
      if (w < 0 || w >= s.in_w) continue;
      float values[V], weights[V];
      load_pack<T, V>(x + ((p.image * s.in_h + h) * s.in_w + w) * s.channels + p.c / s.multiplier,
                      values);
      load_pack<T, V>(filter + int64_t{th * s.size_w + tw} * results + p.c, weights);
#pragma unroll
      for (int v = 0; v < V; ++v) sums[v] += values[v] * weights[v];
    }
  }
  store_pack<T, V>(sums, y + at * V);
}

// The place of a window of which tap `tap` reads `at`; negative when there is none.
__device__ int window_of(int at, int tap, int stride, int dilation, int pad, int windows) {
  const int begin = at + pad - tap * dilation;
  if (begin < 0 || begin % stride != 0 || begin / stride >= windows) return -1;
  return begin / stride;
}

template <class T, int V>
__global__ void input_gradients(DepthwiseShape s, int64_t count, const T* filter, const T* dy,
                                T* dx) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const int results = s.channels * s.multiplier;
  const Place p = place_of<V>(at, s.in_h, s.in_w, s.channels);
  float sums[V] = {};
  for (int th = 0; th < s.size_h; ++th) {
    const int h = window_of(p.h, th, s.stride_h, s.dilation_h, s.pad_h, s.out_h);
    if (h < 0) continue;
    for (int tw = 0; tw < s.size_w; ++tw) {
      const int w = window_of(p.w, tw, s.stride_w, s.dilation_w, s.pad_w, s.out_w);
      if (w < 0) continue;
      const T* from = dy + ((p.image * s.out_h + h) * s.out_w + w) * results;
      const T* taps = filter + int64_t{th * s.size_w + tw} * results;
      for (int m = 0; m < s.multiplier; ++m) {  // once where V is more than 1
        float values[V], weights[V];
        load_pack<T, V>(from + p.c * s.multiplier + m, values);
        load_pack<T, V>(taps + p.c * s.multiplier + m, weights);
#pragma unroll
        for (int v = 0; v < V; ++v) sums[v] += values[v] * weights[v];
      }
    }
  }
  store_pack<T, V>(sums, dx + at * V);
}

// Of one row of the filter, and kMostTaps of its taps: sums [parts, size_h, size_w, results] over a
// part of the windows.
template <class T, int V>
__global__ void filter_gradients(DepthwiseShape s, Blocks b, const T* x, const T* dy, float* sums) {
  __shared__ float shared[V][kBlockThreads];
  const int results = s.channels * s.multiplier;
  const int groups = (s.size_w + kMostTaps - 1) / kMostTaps;
  const int64_t stripe = blockIdx.x % b.stripes, part = blockIdx.x / b.stripes;
  const int th = blockIdx.y / groups, first_tap = static_cast<int>(blockIdx.y) % groups * kMostTaps;
  const int64_t first = part * b.length;
  const int64_t last = min(first + b.length, int64_t{s.batch} * s.out_h * s.out_w);
  const int column = static_cast<int>(stripe * blockDim.x + threadIdx.x) * V;
  const bool inside = column < results;
  float own[kMostTaps][V] = {};
  for (int64_t row = first + threadIdx.y; inside && row < last; row += blockDim.y) {
    const int64_t image = row / (s.out_h * s.out_w);
    const int cell = static_cast<int>(row % (s.out_h * s.out_w));
    const int h = cell / s.out_w * s.stride_h - s.pad_h + th * s.dilation_h;
    if (h < 0 || h >= s.in_h) continue;
    const int w0 = cell % s.out_w * s.stride_w - s.pad_w + first_tap * s.dilation_w;
    const T* from = x + (image * s.in_h + h) * s.in_w * s.channels + column / s.multiplier;
    float dys[V];
    load_pack<T, V>(dy + row * results + column, dys);
#pragma unroll
    for (int tap = 0; tap < kMostTaps; ++tap) {
      const int w = w0 + tap * s.dilation_w;
      if (first_tap + tap >= s.size_w || w < 0 || w >= s.in_w) continue;
      float values[V];
      load_pack<T, V>(from + int64_t{w} * s.channels, values);
#pragma unroll
      for (int v = 0; v < V; ++v) own[tap][v] += values[v] * dys[v];
    }
  }
  const int at = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int tap = 0; tap < kMostTaps; ++tap) {
    if (first_tap + tap >= s.size_w) continue;  // for all threads alike
    __syncthreads();
#pragma unroll
    for (int v = 0; v < V; ++v) shared[v][at] = own[tap][v];
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.y < half) {
#pragma unroll
        for (int v = 0; v < V; ++v) shared[v][at] += shared[v][at + half * blockDim.x];
      }
    }
    if (threadIdx.y == 0 && inside) {
      const int64_t taps = int64_t{s.size_h} * s.size_w;
      const int64_t place = part * taps + int64_t{th} * s.size_w + first_tap + tap;
#pragma unroll
      for (int v = 0; v < V; ++v) sums[place * results + column + v] = shared[v][at];
    }
  }
}

int width_of(const DepthwiseShape& s) {
  return s.multiplier == 1 && s.channels % kWidth == 0 ? kWidth : 1;
}
unsigned tap_groups(const DepthwiseShape& s) {
  return static_cast<unsigned>(s.size_h * ((s.size_w + kMostTaps - 1) / kMostTaps));
}
Blocks blocks_of_filter(const DepthwiseShape& s) {
  const int64_t rows = int64_t{s.batch} * s.out_h * s.out_w;
  return blocks_of(rows, int64_t{s.channels} * s.multiplier / width_of(s),
                   (kWantedBlocks + tap_groups(s) - 1) / tap_groups(s), kLeastRows);
}
unsigned blocks_for(int64_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

// Calls body(T(), width) for the elements and the width.
template <class T, int V>
struct Wide {
  using Type = T;
  static constexpr int kPack = V;
};
template <class Body>
cudaError_t visit(int32_t dtype, const DepthwiseShape& s, const Body& body) {
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    return width_of(s) == 1 ? body(Wide<T, 1>()) : body(Wide<T, kWidth>());
  });
}

}  // namespace

cudaError_t depthwise(cudaStream_t stream, int32_t dtype, const DepthwiseShape& s, const void* x,
                      const void* filter, void* y) {
  return visit(dtype, s, [&](auto wide) {
    using T = typename decltype(wide)::Type;
    constexpr int V = decltype(wide)::kPack;
    const int64_t count = int64_t{s.batch} * s.out_h * s.out_w * (s.channels * s.multiplier / V);
    forward<T, V><<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, static_cast<const T*>(x), static_cast<const T*>(filter), static_cast<T*>(y));
    return cudaGetLastError();
  });
}

cudaError_t depthwise_input_gradient(cudaStream_t stream, int32_t dtype, const DepthwiseShape& s,
                                     const void* filter, const void* dy, void* dx) {
  return visit(dtype, s, [&](auto wide) {
    using T = typename decltype(wide)::Type;
    constexpr int V = decltype(wide)::kPack;
    const int64_t count = int64_t{s.batch} * s.in_h * s.in_w * (s.channels / V);
    input_gradients<T, V><<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, static_cast<const T*>(filter), static_cast<const T*>(dy), static_cast<T*>(dx));
    return cudaGetLastError();
  });
}

size_t depthwise_scratch(const DepthwiseShape& s) {
  const int64_t taps = int64_t{s.size_h} * s.size_w;
  return static_cast<size_t>(blocks_of_filter(s).parts * taps * s.channels * s.multiplier) *
         sizeof(float);
}

cudaError_t depthwise_filter_gradient(cudaStream_t stream, int32_t dtype, const DepthwiseShape& s,
                                      const void* x, const void* dy, void* dfilter, void* scratch) {
  const Blocks b = blocks_of_filter(s);
  auto* sums = static_cast<float*>(scratch);
  const cudaError_t failed = visit(dtype, s, [&](auto wide) {
    using T = typename decltype(wide)::Type;
    constexpr int V = decltype(wide)::kPack;
    filter_gradients<T, V><<<dim3(b.grid(), tap_groups(s)), b.threads(), 0, stream>>>(
        s, b, static_cast<const T*>(x), static_cast<const T*>(dy), sums);
    return cudaGetLastError();
  });
  if (failed) return failed;
  const int64_t columns = int64_t{s.size_h} * s.size_w * s.channels * s.multiplier;
  return sum_parts(stream, dtype, b.parts, columns, 1, sums, dfilter);
}

}  // namespace plugin::cuda
