// Poolings of channels-last data: a thread for each result.
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

// Where the first largest element of the window is.
template <class T>
__device__ int64_t largest_in(const PoolShape& s, const Place& p, const Window& window,
                              const T* x) {
  int64_t best = -1;
  float most = 0;
  for (int h = window.h0; h < window.h1; ++h) {
    for (int w = window.w0; w < window.w1; ++w) {
      const int64_t index = input_index(s, p.n, h, w, p.c);
      const float value = load<float, T>(x[index]);
      if (best < 0 || value > most || (value != value && most == most)) {
        best = index;
        most = value;
      }
    }
  }
  return best;
}

template <class T>
__global__ void max_pool_elements(PoolShape s, int64_t count, const T* x, T* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const Place p = place_of(at, s.out_h, s.out_w, s.channels);
  const int64_t best = largest_in(s, p, window_at(s, p.h, p.w), x);
  y[at] = best < 0 ? store<T, float>(-INFINITY) : x[best];
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

// Where the first largest element of each window is, counted within the window; -1 for none.
template <class T>
__global__ void largest_places(PoolShape s, int64_t count, const T* x, int32_t* places) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const Place p = place_of(at, s.out_h, s.out_w, s.channels);
  const Window window = window_at(s, p.h, p.w);
  const int64_t best = largest_in(s, p, window, x);
  if (best < 0) {
    places[at] = -1;
    return;
  }
  const Place found = place_of(best, s.in_h, s.in_w, s.channels);
  places[at] =
      (found.h - (p.h * s.stride_h - s.pad_h)) * s.size_w + found.w - (p.w * s.stride_w - s.pad_w);
}

template <class T>
__global__ void max_pool_gradients(PoolShape s, int64_t count, const int32_t* places, const T* dy,
                                   T* dx) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const Place p = place_of(at, s.in_h, s.in_w, s.channels);
  const Span hs = windows_over(p.h, s.pad_h, s.size_h, s.stride_h, s.out_h);
  const Span ws = windows_over(p.w, s.pad_w, s.size_w, s.stride_w, s.out_w);
  float sum = 0;
  for (int oh = hs.first; oh < hs.last; ++oh) {
    for (int ow = ws.first; ow < ws.last; ++ow) {
      const int own =
          (p.h - (oh * s.stride_h - s.pad_h)) * s.size_w + p.w - (ow * s.stride_w - s.pad_w);
      const int64_t window = output_index(s, p.n, oh, ow, p.c);
      if (places[window] == own) sum += load<float, T>(dy[window]);
    }
  }
  dx[at] = store<T, float>(sum);
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

}  // namespace

cudaError_t max_pool(cudaStream_t stream, int32_t dtype, const PoolShape& s, const void* x,
                     void* y) {
  const int64_t count = output_count(s);
  if (count == 0) return cudaSuccess;
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    max_pool_elements<<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, static_cast<const T*>(x), static_cast<T*>(y));
    return cudaGetLastError();
  });
}

size_t max_pool_scratch(const PoolShape& s) {
  return static_cast<size_t>(output_count(s)) * sizeof(int32_t);
}

cudaError_t max_pool_gradient(cudaStream_t stream, int32_t dtype, const PoolShape& s, const void* x,
                              const void* dy, void* dx, void* scratch) {
  const int64_t count = input_count(s), windows = output_count(s);
  if (count == 0) return cudaSuccess;
  auto* places = static_cast<int32_t*>(scratch);
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    if (windows > 0) {
      largest_places<<<blocks_for(windows), kThreads, 0, stream>>>(
          s, windows, static_cast<const T*>(x), places);
    }
    max_pool_gradients<<<blocks_for(count), kThreads, 0, stream>>>(
        s, count, places, static_cast<const T*>(dy), static_cast<T*>(dx));
    return cudaGetLastError();
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
