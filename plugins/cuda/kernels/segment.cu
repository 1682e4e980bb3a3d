// Sums of rows by number. The rows are sorted by number (a radix sort that counts, without
// atomics), so that each sum is added in the order of its rows.
#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kDigits = 256, kDigitBits = 8;
constexpr int kTile = 1024;  // rows that one block sorts
constexpr int kColumns = 64, kRows = 4;

unsigned blocks_for(int64_t count, int64_t each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

// --- keys: the number of each row, or `segments` for a row that is dropped ---

struct Coordinates {
  int depth;
  int64_t dims[kMostAxes];
};

template <class Id>
__global__ void make_keys(int64_t rows, int64_t segments, Coordinates c, const Id* ids,
                          uint32_t* keys) {
  const int64_t row = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (row >= rows) return;
  int64_t key = 0;
  for (int axis = 0; axis < c.depth; ++axis) {
    const auto id = static_cast<int64_t>(ids[row * c.depth + axis]);
    if (id < 0 || id >= c.dims[axis]) {
      key = segments;
      break;
    }
    key = key * c.dims[axis] + id;
  }
  keys[row] = static_cast<uint32_t>(key);
}

// --- a pass of the sort: by the digit at `shift`; rows of one digit stay in their order ---

// A thread for each digit goes over the digits of the block's tile.
__device__ int load_tile(int64_t rows, int shift, const uint32_t* keys, uint8_t* digits) {
  const int64_t first = blockIdx.x * int64_t{kTile};
  const int count = static_cast<int>(min(rows - first, int64_t{kTile}));
  for (int i = threadIdx.x; i < count; i += kThreads) {
    digits[i] = static_cast<uint8_t>(keys[first + i] >> shift);
  }
  __syncthreads();
  return count;
}

// counts [tiles, kDigits].
__global__ void count_digits(int64_t rows, int shift, const uint32_t* keys, uint32_t* counts) {
  __shared__ uint8_t digits[kTile];
  const int count = load_tile(rows, shift, keys, digits);
  uint32_t mine = 0;
  for (int i = 0; i < count; ++i) mine += digits[i] == threadIdx.x;
  counts[blockIdx.x * int64_t{kDigits} + threadIdx.x] = mine;
}

// Counts become the places where each tile's rows of each digit begin. One block.
__global__ void place_digits(int64_t tiles, uint32_t* counts) {
  __shared__ uint32_t totals[kDigits];
  uint32_t mine = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) mine += counts[tile * kDigits + threadIdx.x];
  totals[threadIdx.x] = mine;
  __syncthreads();
  uint32_t place = 0;
  for (unsigned digit = 0; digit < threadIdx.x; ++digit) place += totals[digit];
  for (int64_t tile = 0; tile < tiles; ++tile) {
    uint32_t& at = counts[tile * kDigits + threadIdx.x];
    const uint32_t count = at;
    at = place;
    place += count;
  }
}

// `order` null: the rows stand in their own.
__global__ void move_rows(int64_t rows, int shift, const uint32_t* keys, const uint32_t* order,
                          const uint32_t* places, uint32_t* keys_to, uint32_t* order_to) {
  __shared__ uint8_t digits[kTile];
  const int count = load_tile(rows, shift, keys, digits);
  const int64_t first = blockIdx.x * int64_t{kTile};
  uint32_t place = places[blockIdx.x * int64_t{kDigits} + threadIdx.x];
  for (int i = 0; i < count; ++i) {
    if (digits[i] != threadIdx.x) continue;
    keys_to[place] = keys[first + i];
    order_to[place] = order ? order[first + i] : static_cast<uint32_t>(first + i);
    ++place;
  }
}

// --- sums ---

// A block for each row in the order of the keys and some columns; that of the first row of a key
// adds all of them up.
template <class T>
__global__ void add_rows(int64_t rows, int64_t width, int64_t segments, const uint32_t* keys,
                         const uint32_t* order, const T* x, T* y) {
  using S = typename SumOf<T>::Type;
  __shared__ S sums[kRows][kColumns];
  const int64_t first = blockIdx.x;
  const uint32_t key = keys[first];
  if (key >= segments || (first > 0 && keys[first - 1] == key)) return;
  const int64_t column = blockIdx.y * int64_t{kColumns} + threadIdx.x;
  S sum = 0;
  if (column < width) {
    for (int64_t row = first + threadIdx.y; row < rows && keys[row] == key; row += kRows) {
      sum += load<S, T>(x[order[row] * width + column]);
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  for (int half = kRows / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
      sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
    }
  }
  if (threadIdx.y != 0 || column >= width) return;
  T& to = y[key * width + column];
  to = store<T, S>(load<S, T>(to) + sums[0][threadIdx.x]);
}

// --- launches ---

// Where in the scratch memory what is; in elements of 4 bytes.
struct Memory {
  uint32_t *keys[2], *order[2], *counts;
};
int64_t tiles_of(const SegmentShape& s) { return (s.rows + kTile - 1) / kTile; }

Memory memory_of(const SegmentShape& s, void* scratch) {
  auto* at = static_cast<uint32_t*>(scratch);
  Memory m;
  for (uint32_t** one : {&m.keys[0], &m.keys[1], &m.order[0], &m.order[1]}) {
    *one = at;
    at += s.rows;
  }
  m.counts = at;
  return m;
}

int passes_of(const SegmentShape& s) {
  int bits = 1;
  while (bits < 32 && s.segments >> bits != 0) ++bits;
  return (bits + kDigitBits - 1) / kDigitBits;
}

// keys[0] become sorted; the answer says in which of the two arrays.
int sort(cudaStream_t stream, const SegmentShape& s, const Memory& m) {
  const auto tiles = static_cast<unsigned>(tiles_of(s));
  int in = 0;
  for (int pass = 0; pass < passes_of(s); ++pass, in = 1 - in) {
    const int shift = pass * kDigitBits;
    count_digits<<<tiles, kThreads, 0, stream>>>(s.rows, shift, m.keys[in], m.counts);
    place_digits<<<1, kDigits, 0, stream>>>(tiles, m.counts);
    move_rows<<<tiles, kThreads, 0, stream>>>(s.rows, shift, m.keys[in],
                                              pass == 0 ? nullptr : m.order[in], m.counts,
                                              m.keys[1 - in], m.order[1 - in]);
  }
  return in;
}

template <class T>
cudaError_t add_of(cudaStream_t stream, const SegmentShape& s, const Memory& m, int in,
                   const void* x, void* y) {
  const dim3 grid(static_cast<unsigned>(s.rows), blocks_for(s.width, kColumns));
  add_rows<T><<<grid, dim3(kColumns, kRows), 0, stream>>>(s.rows, s.width, s.segments, m.keys[in],
                                                          m.order[in], static_cast<const T*>(x),
                                                          static_cast<T*>(y));
  return cudaGetLastError();
}

}  // namespace

size_t segment_scratch(const SegmentShape& s) {
  return static_cast<size_t>(4 * s.rows + tiles_of(s) * kDigits) * sizeof(uint32_t);
}

cudaError_t scatter_sum(cudaStream_t stream, int32_t dtype, int32_t id_dtype, const SegmentShape& s,
                        int depth, const int64_t* dims, const void* x, const void* ids, void* y,
                        void* scratch) {
  if (s.rows == 0 || s.width == 0 || s.segments == 0) return cudaSuccess;
  const Memory m = memory_of(s, scratch);
  Coordinates c{depth, {}};
  for (int axis = 0; axis < depth; ++axis) c.dims[axis] = dims[axis];
  if (id_dtype == kInt32) {
    make_keys<<<blocks_for(s.rows, kThreads), kThreads, 0, stream>>>(
        s.rows, s.segments, c, static_cast<const int32_t*>(ids), m.keys[0]);
  } else {
    make_keys<<<blocks_for(s.rows, kThreads), kThreads, 0, stream>>>(
        s.rows, s.segments, c, static_cast<const int64_t*>(ids), m.keys[0]);
  }
  const int in = sort(stream, s, m);
  return visit_numbers(
      dtype, [&](auto element) { return add_of<decltype(element)>(stream, s, m, in, x, y); });
}

}  // namespace plugin::cuda
