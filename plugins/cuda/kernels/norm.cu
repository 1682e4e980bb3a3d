// Batch normalisation of rows of channels. Statistics are those of parts, merged in a fixed order.
#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int64_t kWantedBlocks = 1024;
constexpr int64_t kStatisticRows = 16, kElementRows = 8;  // of a thread, at least
constexpr int kMergedColumns = 8, kMergers = 32;          // of a block that merges parts

// --- statistics ---

// Of `count` values: their mean and the sum of (value - mean)^2.
struct Moments {
  float count, mean, squares;
};

// Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for Computing Sample
// Variances".
__device__ Moments merge(const Moments& a, const Moments& b) {
  if (b.count == 0) return a;
  if (a.count == 0) return b;
  const float count = a.count + b.count, delta = b.mean - a.mean;
  return {count, a.mean + delta * (b.count / count),
          a.squares + b.squares + delta * delta * (a.count * b.count / count)};
}

// The moments of the block's threads in one column, merged into those of thread y = 0.
__device__ Moments merge_block(Moments mine, Moments* shared) {
  const int at = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();
  shared[at] = mine;
  for (int step = blockDim.y / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.y < step) shared[at] = merge(shared[at], shared[at + step * blockDim.x]);
  }
  return shared[at];
}

// Where a thread works: its first column, and the rows of its part.
struct Place {
  int64_t column, first, last, part;
};
template <int V>
__device__ Place place_of(const Blocks& b, int64_t rows) {
  const int64_t stripe = blockIdx.x % b.stripes, part = blockIdx.x / b.stripes;
  const int64_t first = part * b.length;
  return {(stripe * blockDim.x + threadIdx.x) * V, first, min(first + b.length, rows), part};
}

template <int V>
__device__ void load_vector(const float* from, int64_t column, float (&values)[V]) {
#pragma unroll
  for (int v = 0; v < V; ++v) values[v] = from[column + v];
}

// A value as it is after it was stored.
template <class T>
__device__ float as_stored(float x) {
  return load<float, T>(store<T, float>(x));
}

// Neighbouring elements as they lie. Loops ask for those of several rows before they look at the
// first, the last row's again where there are no more: memory is far, and a load that stands in a
// branch with what it is for is waited for there.
template <class T, int V>
__device__ Pack<T, V> pack_at(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}
template <class T, int V>
__device__ void unpack(const Pack<T, V>& pack, float (&values)[V]) {
#pragma unroll
  for (int v = 0; v < V; ++v) values[v] = load<float, T>(pack.at[v]);
}

// What is added to x before, if anything.
template <class T, int V, bool biased>
struct Bias {
  float values[V];
  __device__ void load(const T* bias, int64_t column) {
    if (biased) load_pack<T, V>(bias + column, values);
  }
  __device__ void add_to(float (&xs)[V]) const {
#pragma unroll
    for (int v = 0; v < V; ++v) xs[v] = biased ? as_stored<T>(xs[v] + values[v]) : xs[v];
  }
};

// means and squares [parts, channels].
template <class T, int V, bool biased>
__global__ void part_moments(Blocks b, NormShape s, const T* x, const T* bias, float* means,
                             float* squares) {
  __shared__ Moments shared[kBlockThreads];
  const Place p = place_of<V>(b, s.rows);
  const bool inside = p.column < s.channels;
  constexpr int kRows = 8;
  Moments mine[V] = {};
  // Sums of the distance from the thread's first value, which lies among the others: of n of them
  // the squares lose no more than n units in the last place.
  float first[V] = {}, sums[V] = {}, squares_of[V] = {};
  float count = 0;
  const int64_t step = blockDim.y, begin = p.first + threadIdx.y;
  Bias<T, V, biased> shift;
  if (inside && begin < p.last) {
    shift.load(bias, p.column);
    load_pack<T, V>(x + begin * s.channels + p.column, first);
    shift.add_to(first);
  }
  for (int64_t row = begin; inside && row < p.last; row += kRows * step) {
    Pack<T, V> packs[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      packs[i] = pack_at<T, V>(x + min(row + i * step, p.last - 1) * s.channels + p.column);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool there = row + i * step < p.last;
      float values[V];
      unpack(packs[i], values);
      shift.add_to(values);
      count += there ? 1.0f : 0.0f;
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float off = there ? values[v] - first[v] : 0;
        sums[v] += off;
        squares_of[v] += off * off;
      }
    }
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (count == 0) continue;
    const float mean = sums[v] / count;
    const float rest = squares_of[v] - sums[v] * mean;
    mine[v] = {count, first[v] + mean, rest < 0 ? 0 : rest};
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const Moments all = merge_block(mine[v], shared);
    if (threadIdx.y == 0 && inside) {
      means[p.part * s.channels + p.column + v] = all.mean;
      squares[p.part * s.channels + p.column + v] = all.squares;
    }
  }
}

__global__ void merge_moments(Blocks b, NormShape s, const float* means, const float* squares,
                              NormStatistics to) {
  __shared__ Moments shared[kMergedColumns * kMergers];
  const int64_t c = blockIdx.x * int64_t{kMergedColumns} + threadIdx.x;
  Moments mine{};
  for (int64_t part = threadIdx.y; c < s.channels && part < b.parts; part += kMergers) {
    const int64_t count = min(b.length, s.rows - part * b.length), at = part * s.channels + c;
    mine = merge(mine, {static_cast<float>(count), means[at], squares[at]});
  }
  const Moments all = merge_block(mine, shared);
  if (threadIdx.y != 0 || c >= s.channels) return;
  const auto rows = static_cast<float>(s.rows);
  const float variance = all.squares / rows;
  to.mean[c] = all.mean;
  to.variance[c] = variance;
  if (to.empty && c == 0) *to.empty = 0;
  const float unbiased = variance * (rows / fmaxf(rows - 1, 1));
  const bool mixed = to.factor != 1.0f;
  const float keep = 1.0f - to.factor;
  to.running_mean[c] = mixed ? keep * to.old_mean[c] + to.factor * all.mean : all.mean;
  to.running_variance[c] = mixed ? keep * to.old_variance[c] + to.factor * unbiased : unbiased;
}

// --- elements ---

// A result before it is stored; the gradient computes it anew.
__device__ float normalised(float x, float middle, float factor, float shift) {
  return fmaf(x - middle, factor, shift);
}

template <class T, int V, NormEnd end, bool biased>
__global__ void normalise(Blocks b, NormShape s, float epsilon, NormTensors t, const float* mean,
                          const float* variance) {
  const Place p = place_of<V>(b, s.rows);
  if (p.column >= s.channels) return;
  const auto* x = static_cast<const T*>(t.x);
  const auto* side = static_cast<const T*>(t.side);
  auto* y = static_cast<T*>(t.y);
  float middle[V], factor[V], shift[V], scales[V];
  load_vector<V>(mean, p.column, middle);
  load_vector<V>(variance, p.column, factor);
  load_vector<V>(t.scale, p.column, scales);
  load_vector<V>(t.offset, p.column, shift);
  Bias<T, V, biased> bias;
  bias.load(static_cast<const T*>(t.bias), p.column);
#pragma unroll
  for (int v = 0; v < V; ++v) factor[v] = scales[v] / sqrtf(factor[v] + epsilon);
  for (int64_t row = p.first + threadIdx.y; row < p.last; row += blockDim.y) {
    const int64_t at = row * s.channels + p.column;
    float values[V], others[V];
    load_pack<T, V>(x + at, values);
    bias.add_to(values);
    if (end == NormEnd::kAddRelu) load_pack<T, V>(side + at, others);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      values[v] = normalised(values[v], middle[v], factor[v], shift[v]);
      if (end == NormEnd::kAddRelu) values[v] = as_stored<T>(values[v]) + others[v];
      if (end != NormEnd::kNone) values[v] = values[v] < 0 ? 0 : values[v];
    }
    store_pack<T, V>(values, y + at);
  }
}

__global__ void copy_statistics(int64_t channels, NormStatistics s) {
  const int64_t c = blockIdx.x * int64_t{kBlockThreads} + threadIdx.x;
  if (s.empty && c == 0) *s.empty = 0;
  if (c >= channels) return;
  s.mean[c] = s.running_mean[c] = s.old_mean[c];
  s.variance[c] = s.running_variance[c] = s.old_variance[c];
}

// --- gradient ---

// Where a Relu followed, what of dy comes through it.
template <int V>
struct Cut {
  float factor[V], shift[V];
  __device__ void load(const NormGradient& t, float epsilon, int64_t column) {
    load_vector<V>(t.offset, column, shift);
    for (int v = 0; v < V; ++v) {
      factor[v] = t.scale[column + v] / sqrtf(t.variance[column + v] + epsilon);
    }
  }
  template <class T>
  __device__ void apply(const float (&xs)[V], const float (&middle)[V], float (&dys)[V]) const {
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float y = normalised(xs[v], middle[v], factor[v], shift[v]);
      dys[v] = as_stored<T>(y) > 0 ? dys[v] : 0;
    }
  }
};

// sums [2, parts, channels]: of dy, and of dy * (x - mean).
template <class T, int V, bool cuts, bool biased>
__global__ void part_gradients(Blocks b, NormShape s, float epsilon, NormGradient t, float* sums) {
  const auto *dy = static_cast<const T*>(t.dy), *x = static_cast<const T*>(t.x);
  __shared__ float shared[2][kBlockThreads];
  const Place p = place_of<V>(b, s.rows);
  const bool inside = p.column < s.channels;
  float offsets[V] = {}, scales[V] = {}, middle[V] = {};
  Cut<V> cut;
  Bias<T, V, biased> bias;
  if (inside) load_vector<V>(t.mean, p.column, middle);
  if (inside && cuts) cut.load(t, epsilon, p.column);
  if (inside) bias.load(static_cast<const T*>(t.bias), p.column);
  constexpr int kRows = 4;
  const int64_t step = blockDim.y;
  for (int64_t row = p.first + threadIdx.y; inside && row < p.last; row += kRows * step) {
    Pack<T, V> of_dy[kRows], of_x[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int64_t at = min(row + i * step, p.last - 1) * s.channels + p.column;
      of_dy[i] = pack_at<T, V>(dy + at);
      of_x[i] = pack_at<T, V>(x + at);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool there = row + i * step < p.last;
      float dys[V], xs[V];
      unpack(of_dy[i], dys);
      unpack(of_x[i], xs);
      bias.add_to(xs);
      if (cuts) cut.template apply<T>(xs, middle, dys);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        offsets[v] += there ? dys[v] : 0;
        scales[v] += there ? dys[v] * (xs[v] - middle[v]) : 0;
      }
    }
  }
  const int at = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    __syncthreads();
    shared[0][at] = offsets[v];
    shared[1][at] = scales[v];
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.y < half) {
        shared[0][at] += shared[0][at + half * blockDim.x];
        shared[1][at] += shared[1][at + half * blockDim.x];
      }
    }
    if (threadIdx.y == 0 && inside) {
      const int64_t to = p.part * s.channels + p.column + v;
      sums[to] = shared[0][at];
      sums[to + b.parts * s.channels] = shared[1][at];
    }
  }
}

__global__ void merge_gradients(Blocks b, NormShape s, float epsilon, const float* sums,
                                const float* variance, float* dscale, float* doffset) {
  __shared__ float shared[2][kMergers][kMergedColumns];
  const int64_t c = blockIdx.x * int64_t{kMergedColumns} + threadIdx.x;
  float offset = 0, scale = 0;
  for (int64_t part = threadIdx.y; c < s.channels && part < b.parts; part += kMergers) {
    offset += sums[part * s.channels + c];
    scale += sums[(part + b.parts) * s.channels + c];
  }
  shared[0][threadIdx.y][threadIdx.x] = offset;
  shared[1][threadIdx.y][threadIdx.x] = scale;
  for (int half = kMergers / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
      for (auto& of : shared) of[threadIdx.y][threadIdx.x] += of[threadIdx.y + half][threadIdx.x];
    }
  }
  if (threadIdx.y != 0 || c >= s.channels) return;
  doffset[c] = shared[0][0][threadIdx.x];
  dscale[c] = shared[1][0][threadIdx.x] / sqrtf(variance[c] + epsilon);
}

// dx = scale / deviation * (dy - doffset / rows - (x - mean) / deviation * dscale / rows); the last
// two are not there where mean and variance are constants.
template <class T, int V, bool cuts, bool biased>
__global__ void input_gradients(Blocks b, NormShape s, float epsilon, bool training,
                                NormGradient t) {
  const auto *dy = static_cast<const T*>(t.dy), *x = static_cast<const T*>(t.x);
  auto* dx = static_cast<T*>(t.dx);
  const Place p = place_of<V>(b, s.rows);
  if (p.column >= s.channels) return;
  const float share = training ? 1.0f / static_cast<float>(s.rows) : 0.0f;
  float factor[V], of_x[V], shift[V], middle[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const int64_t c = p.column + v;
    const float inverse = 1.0f / sqrtf(t.variance[c] + epsilon);
    middle[v] = t.mean[c];
    factor[v] = t.scale[c] * inverse;
    of_x[v] = inverse * t.dscale[c] * share;
    shift[v] = t.doffset[c] * share;
  }
  Cut<V> cut;
  if (cuts) cut.load(t, epsilon, p.column);
  Bias<T, V, biased> bias;
  bias.load(static_cast<const T*>(t.bias), p.column);
  for (int64_t row = p.first + threadIdx.y; row < p.last; row += blockDim.y) {
    const int64_t at = row * s.channels + p.column;
    float dys[V], xs[V];
    load_pack<T, V>(dy + at, dys);
    load_pack<T, V>(x + at, xs);
    bias.add_to(xs);
    if (cuts) cut.template apply<T>(xs, middle, dys);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float from_x = training ? (xs[v] - middle[v]) * of_x[v] : 0.0f;
      dys[v] = factor[v] * (dys[v] - shift[v] - from_x);
    }
    store_pack<T, V>(dys, dx + at);
  }
}

// --- launches ---

// The type of elements, and how many neighbouring channels a thread takes.
template <class T, int V>
struct Wide {
  using Type = T;
  static constexpr int kWidth = V;
};
template <class Body>
cudaError_t visit(int32_t dtype, int64_t channels, const Body& body) {
  return visit_floats(dtype, [&](auto element) {
    using T = decltype(element);
    if (channels % kPackOf16<T> == 0) return body(Wide<T, kPackOf16<T>>());
    return body(Wide<T, 1>());
  });
}

Blocks statistic_blocks(const NormShape& s, int width) {
  return blocks_of(s.rows, (s.channels + width - 1) / width, kWantedBlocks, kStatisticRows);
}
Blocks element_blocks(const NormShape& s, int width) {
  return blocks_of(s.rows, (s.channels + width - 1) / width, int64_t{1} << 20, kElementRows);
}
unsigned merge_blocks(const NormShape& s) {
  return static_cast<unsigned>((s.channels + kMergedColumns - 1) / kMergedColumns);
}
const dim3 kMergeThreads(kMergedColumns, kMergers);

template <class T, int V, bool biased>
void launch_normalise(cudaStream_t stream, const NormShape& s, float epsilon, NormEnd end,
                      const NormTensors& t, const float* mean, const float* variance) {
  const Blocks b = element_blocks(s, V);
  const auto kernel = end == NormEnd::kNone   ? normalise<T, V, NormEnd::kNone, biased>
                      : end == NormEnd::kRelu ? normalise<T, V, NormEnd::kRelu, biased>
                                              : normalise<T, V, NormEnd::kAddRelu, biased>;
  kernel<<<b.grid(), b.threads(), 0, stream>>>(b, s, epsilon, t, mean, variance);
}

template <class T, int V, bool biased>
cudaError_t launch_training(cudaStream_t stream, const NormShape& s, float epsilon,
                            const NormTensors& t, NormEnd end, const NormStatistics& statistics,
                            void* scratch) {
  const Blocks b = statistic_blocks(s, V);
  auto* means = static_cast<float*>(scratch);
  float* squares = means + b.parts * s.channels;
  part_moments<T, V, biased><<<b.grid(), b.threads(), 0, stream>>>(
      b, s, static_cast<const T*>(t.x), static_cast<const T*>(t.bias), means, squares);
  merge_moments<<<merge_blocks(s), kMergeThreads, 0, stream>>>(b, s, means, squares, statistics);
  launch_normalise<T, V, biased>(stream, s, epsilon, end, t, statistics.mean, statistics.variance);
  return cudaGetLastError();
}

template <class T, int V, bool cuts, bool biased>
cudaError_t launch_gradient(cudaStream_t stream, const NormShape& s, float epsilon, bool training,
                            const NormGradient& t, void* scratch) {
  auto* sums = static_cast<float*>(scratch);
  const Blocks b = statistic_blocks(s, V);
  part_gradients<T, V, cuts, biased><<<b.grid(), b.threads(), 0, stream>>>(b, s, epsilon, t, sums);
  merge_gradients<<<merge_blocks(s), kMergeThreads, 0, stream>>>(b, s, epsilon, sums, t.variance,
                                                                 t.dscale, t.doffset);
  const Blocks e = element_blocks(s, V);
  input_gradients<T, V, cuts, biased>
      <<<e.grid(), e.threads(), 0, stream>>>(e, s, epsilon, training, t);
  return cudaGetLastError();
}

}  // namespace

size_t batch_norm_scratch(int32_t dtype, const NormShape& s) {
  int64_t parts = 0;
  visit(dtype, s.channels, [&](auto wide) {
    parts = statistic_blocks(s, decltype(wide)::kWidth).parts;
    return cudaSuccess;
  });
  return static_cast<size_t>(2 * parts * s.channels) * sizeof(float);
}

cudaError_t batch_norm_training(cudaStream_t stream, int32_t dtype, const NormShape& s,
                                float epsilon, const NormTensors& t, NormEnd end,
                                const NormStatistics& statistics, void* scratch) {
  return visit(dtype, s.channels, [&](auto wide) {
    using T = typename decltype(wide)::Type;
    constexpr int V = decltype(wide)::kWidth;
    const auto launch = t.bias ? launch_training<T, V, true> : launch_training<T, V, false>;
    return launch(stream, s, epsilon, t, end, statistics, scratch);
  });
}

cudaError_t batch_norm_inference(cudaStream_t stream, int32_t dtype, const NormShape& s,
                                 float epsilon, const NormTensors& t,
                                 const NormStatistics& statistics) {
  const auto blocks = static_cast<unsigned>((s.channels + kBlockThreads - 1) / kBlockThreads);
  copy_statistics<<<blocks, kBlockThreads, 0, stream>>>(s.channels, statistics);
  return visit(dtype, s.channels, [&](auto wide) {
    launch_normalise<typename decltype(wide)::Type, decltype(wide)::kWidth, false>(
        stream, s, epsilon, NormEnd::kNone, t, statistics.old_mean, statistics.old_variance);
    return cudaGetLastError();
  });
}

cudaError_t batch_norm_gradient(cudaStream_t stream, int32_t dtype, const NormShape& s,
                                float epsilon, bool training, const NormGradient& t,
                                void* scratch) {
  return visit(dtype, s.channels, [&](auto wide) {
    using T = typename decltype(wide)::Type;
    constexpr int V = decltype(wide)::kWidth;
    const auto cut =
        t.bias ? launch_gradient<T, V, true, true> : launch_gradient<T, V, true, false>;
    const auto plain =
        t.bias ? launch_gradient<T, V, false, true> : launch_gradient<T, V, false, false>;
    return (t.offset ? cut : plain)(stream, s, epsilon, training, t, scratch);
  });
}

}  // namespace plugin::cuda
