// Poolings of channels-last data: a thread for each result, of maxima for several channels.
#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kThreads = 256;

unsigned blocks_for(int64_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

// The part of a window that lies inside the input.
struct Window {
  int h0, h1, w0, w1;
};
__device__ Window window_at(const PoolShape& s, int oh, int ow) {
  const int h = oh * s.stride_h - s.pad_h, w = ow * s.stride_w - s.pad_w;
  return {max(h, 0), min(h + s.size_h, s.in_h), max(w, 0), min(w + s.size_w, s.in_w)};
}

// Element `at` of [batch, height, width, channels].
struct Place {
  int64_t n;
  int h, w, c;
};
__device__ Place place_of(int64_t at, int height, int width, int channels) {
  Place place;
  place.c = static_cast<int>(at % channels);
  at /= channels;
  place.w = static_cast<int>(at % width);
  at /= width;
  place.h = static_cast<int>(at % height);
  place.n = at / height;
  return place;
}
__device__ int64_t input_index(const PoolShape& s, int64_t n, int h, int w, int c) {
  return ((n * s.in_h + h) * s.in_w + w) * s.channels + c;
}
__device__ int64_t output_index(const PoolShape& s, int64_t n, int h, int w, int c) {
  return ((n * s.out_h + h) * s.out_w + w) * s.channels + c;
}

// The first largest elements of a window in V neighbouring channels, and where they are, counted
// within the window; -1 where it has none.
template <int V>
struct Largest {
  float value[V];
  int place[V];
};
template <class T, int V>
__device__ Largest<V> largest_in(const PoolShape& s, const Place& p, const T* x) {
  const Window window = window_at(s, p.h, p.w);
  const int first_h = p.h * s.stride_h - s.pad_h, first_w = p.w * s.stride_w - s.pad_w;
  Largest<V> best;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    best.value[v] = -INFINITY;
    best.place[v] = -1;
  }
  for (int h = window.h0; h < window.h1; ++h) {
    for (int w = window.w0; w < window.w1; ++w) {
      const int place = (h - first_h) * s.size_w + w - first_w;
      float values[V];
      load_pack<T, V>(x + input_index(s, p.n, h, w, p.c), values);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float most = best.value[v];
        if (best.place[v] < 0 || values[v] > most || (values[v] != values[v] && most == most)) {
          best.value[v] = values[v];
          best.place[v] = place;
        }
      }
    }
  }
  return best;
}

// `count` packs of V channels.
template <class T, int V>
__global__ void max_pool_elements(PoolShape s, int64_t count, const T* x, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  Place p = place_of(at, s.out_h, s.out_w, s.channels / V);
  p.c *= V;
  const Largest<V> best = largest_in<T, V>(s, p, x);
  store_pack<T, V>(best.value, y + at * V);
}

template <class T>
__global__ void avg_pool_elements(PoolShape s, int64_t count, const T* x, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const Place p = place_of(at, s.out_h, s.out_w, s.channels);
  const Window window = window_at(s, p.h, p.w);
  float sum = 0;
  for (int h = window.h0; h < window.h1; ++h) {
    for (int w = window.w0; w < window.w1; ++w) {
      sum += load<float, T>(x[input_index(s, p.n, h, w, p.c)]);
    }
  }
  const auto cells = static_cast<float>((window.h1 - window.h0) * (window.w1 - window.w0));
  y[at] = store<T, float>(sum / cells);
}

// The windows along one axis that hold input `at`: [first, last).
struct Span {
  int first, last;
};
__device__ Span windows_over(int at, int pad, int size, int stride, int outputs) {
  const int most = at + pad;
  const int first = most < size ? 0 : (most - size) / stride + 1;
  return {first, min(most / stride + 1, outputs)};
}

// Where the first largest element of each window is. P holds all places of a window and -1.
template <class T, int V, class P>
__global__ void largest_places(PoolShape s, int64_t count, const T* x, P* places) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  Place p = place_of(at, s.out_h, s.out_w, s.channels / V);
  p.c *= V;
  const Largest<V> best = largest_in<T, V>(s, p, x);
  Pack<P, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.at[v] = static_cast<P>(best.place[v]);
  *reinterpret_cast<Pack<P, V>*>(places + at * V) = pack;
}

template <class T, int V, class P>
__global__ void max_pool_gradients(PoolShape s, int64_t count, const P* places, const T* dy,
                                   T* dx) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  Place p = place_of(at, s.in_h, s.in_w, s.channels / V);
  p.c *= V;
  const Span hs = windows_over(p.h, s.pad_h, s.size_h, s.stride_h, s.out_h);
  const Span ws = windows_over(p.w, s.pad_w, s.size_w, s.stride_w, s.out_w);
  float sum[V] = {};
  for (int oh = hs.first; oh < hs.last; ++oh) {
    for (int ow = ws.first; ow < ws.last; ++ow) {
      const int own =
          (p.h - (oh * s.stride_h - s.pad_h)) * s.size_w + p.w - (ow * s.stride_w - s.pad_w);
      const int64_t window = output_index(s, p.n, oh, ow, p.c);
      const Pack<P, V> place = *reinterpret_cast<const Pack<P, V>*>(places + window);
      float dys[V];
      load_pack<T, V>(dy + window, dys);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        if (place.at[v] == static_cast<P>(own)) sum[v] += dys[v];
      }
    }
  }
  store_pack<T, V>(sum, dx + at * V);
}

template <class T>
__global__ void avg_pool_gradients(PoolShape s, int64_t count, const T* dy, T* dx) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const Place p = place_of(at, s.in_h, s.in_w, s.channels);
  const Span hs = windows_over(p.h, s.pad_h, s.size_h, s.stride_h, s.out_h);
  const Span ws = windows_over(p.w, s.pad_w, s.size_w, s.stride_w, s.out_w);
  float sum = 0;
  for (int oh = hs.first; oh < hs.last; ++oh) {
    for (int ow = ws.first; ow < ws.last; ++ow) {
      const Window window = window_at(s, oh, ow);
      sum += load<float, T>(dy[output_index(s, p.n, oh, ow, p.c)]) /
             static_cast<float>((window.h1 - window.h0) * (window.w1 - window.w0));
    }
  }
  dx[at] = store<T, float>(sum);
}

int64_t input_count(const PoolShape& s) { return int64_t{s.batch} * s.in_h * s.in_w * s.channels; }
int64_t output_count(const PoolShape& s) {
  return int64_t{s.batch} * s.out_h * s.out_w * s.channels;
}

// Calls body(T(), width) with the type of elements and how many neighbouring channels a thread
// takes, as a type's value.
template <class Body>
cudaError_t visit_packs(int32_t dtype, int channels, const Body& body) {
  return visit_floats(dtype, [&](auto element) {
    constexpr int kWidth = kPackOf16<decltype(element)>;
    if (channels % kWidth == 0) return body(element, std::integral_constant<int, kWidth>());
    return body(element, std::integral_constant<int, 1>());
  });
}

template <class T, int V, class P>
cudaError_t launch_max_pool_gradient(cudaStream_t stream, const PoolShape& s, const T* x,
                                     const T* dy, T* dx, P* places) {
  const int64_t count = input_count(s) / V, windows = output_count(s) / V;
  if (windows > 0) {
    largest_places<T, V, P><<<blocks_for(windows), kThreads, 0, stream>>>(s, windows, x, places);
  }
  max_pool_gradients<T, V, P><<<blocks_for(count), kThreads, 0, stream>>>(s, count, places, dy, dx);
  return cudaGetLastError();
}

}  // namespace

cudaError_t max_pool(cudaStream_t stream, int32_t dtype, const PoolShape& s, const void* x,
                     void* y) {
  if (output_count(s) == 0) return cudaSuccess;
  return visit_packs(dtype, s.channels, [&](auto element, auto width) {
    using T = decltype(element);
    constexpr int V = decltype(width)::value;
    const int64_t count = output_count(s) / V;
    max_pool_elements<T, V><<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, static_cast<const T*>(x), static_cast<T*>(y));
    return cudaGetLastError();
  });
}

size_t max_pool_scratch(const PoolShape& s) {
  return static_cast<size_t>(output_count(s)) * sizeof(int32_t);
}

cudaError_t max_pool_gradient(cudaStream_t stream, int32_t dtype, const PoolShape& s, const void* x,
                              const void* dy, void* dx, void* scratch) {
  if (input_count(s) == 0) return cudaSuccess;
  const bool few = int64_t{s.size_h} * s.size_w < 255;
  return visit_packs(dtype, s.channels, [&](auto element, auto width) {
    using T = decltype(element);
    constexpr int V = decltype(width)::value;
    const auto *from = static_cast<const T*>(x), *slopes = static_cast<const T*>(dy);
    auto* to = static_cast<T*>(dx);
    if (few) {
      return launch_max_pool_gradient<T, V>(stream, s, from, slopes, to,
                                            static_cast<uint8_t*>(scratch));
    }
    return launch_max_pool_gradient<T, V>(stream, s, from, slopes, to,
                                          static_cast<int32_t*>(scratch));
  });
}

cudaError_t avg_pool(cudaStream_t stream, int32_t dtype, const PoolShape& s, const void* x,
                     void* y) {
  const int64_t count = output_count(s);
  if (count == 0) return cudaSuccess;
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    avg_pool_elements<<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, static_cast<const T*>(x), static_cast<T*>(y));
    return cudaGetLastError();
  });
}

cudaError_t avg_pool_gradient(cudaStream_t stream, int32_t dtype, const PoolShape& s,
                              const void* dy, void* dx) {
  const int64_t count = input_count(s);
  if (count == 0) return cudaSuccess;
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    avg_pool_gradients<<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, static_cast<const T*>(dy), static_cast<T*>(dx));
    return cudaGetLastError();
  });
}

}  // namespace plugin::cuda
