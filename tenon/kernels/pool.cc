#include "tenon/kernels/pool.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "tenon/base/parallel.h"
#include "tenon/core/float16.h"
#include "tenon/kernels/simd/row_ops.h"

namespace tenon::kernels {
namespace {

template <class T>
using PoolSum = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The part of one window that lies inside the input: half-open ranges per dimension.
struct Cells {
  int64_t begin[3];
  int64_t end[3];
  int64_t count() const { return (end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]); }
};

Cells cells_of(const PoolSpec& s, int64_t cell) {
  const int64_t at[3] = {cell / (s.output[1] * s.output[2]), cell / s.output[2] % s.output[1],
                         cell % s.output[2]};
  Cells cells;
  for (size_t d = 0; d < 3; ++d) {
    const int64_t first = at[d] * s.stride[d] - s.pad_before[d];
    cells.begin[d] = std::clamp<int64_t>(first, 0, s.input[d]);
    cells.end[d] = std::clamp<int64_t>(first + s.window[d], cells.begin[d], s.input[d]);
  }
  return cells;
}

// Calls body(index of the input cell, without batch and channels) in row-major order.
template <class Body>
void for_each_cell(const PoolSpec& s, const Cells& cells, Body&& body) {
  for (int64_t i = cells.begin[0]; i < cells.end[0]; ++i) {
    for (int64_t j = cells.begin[1]; j < cells.end[1]; ++j) {
      for (int64_t k = cells.begin[2]; k < cells.end[2]; ++k) {
        body((i * s.input[1] + j) * s.input[2] + k);
      }
    }
  }
}

int64_t cells_in(const std::array<int64_t, 3>& sizes) { return sizes[0] * sizes[1] * sizes[2]; }

template <class T>
T lowest_value() {
  if constexpr (std::is_integral_v<T>) {
    return std::numeric_limits<T>::lowest();
  } else {
    return static_cast<T>(-std::numeric_limits<float>::infinity());
  }
}

// Output cells of all batch items, split over the team; body(item, cell within the item).
template <class Body>
void for_each_output(const PoolSpec& s, Body&& body) {
  const int64_t cells = cells_in(s.output);
  const int64_t work = std::max<int64_t>(1, cells_in(s.window) * s.channels);
  parallel_for(s.batch * cells, std::max<int64_t>(1, 16384 / work),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) body(i / cells, i % cells);
               });
}

// Channels that max_pool_gradient keeps track of at once.
constexpr int64_t kChunk = 256;

// body(item, sums) adds into zeroed sums of one batch item: the result itself where T is wide
// enough, else a buffer that is rounded at the end.
template <class T, class Body>
void accumulate_items(int64_t batch, int64_t item_size, T* result, Body&& body) {
  parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
    if constexpr (std::is_same_v<T, PoolSum<T>>) {
      std::fill(result + begin * item_size, result + end * item_size, T{0});
      for (int64_t item = begin; item < end; ++item) body(item, result + item * item_size);
    } else {
      std::vector<PoolSum<T>> sums(static_cast<size_t>(item_size));
      for (int64_t item = begin; item < end; ++item) {
        std::fill(sums.begin(), sums.end(), PoolSum<T>{0});
        body(item, sums.data());
        T* to = result + item * item_size;
        for (int64_t i = 0; i < item_size; ++i)
          to[i] = static_cast<T>(sums[static_cast<size_t>(i)]);
      }
    }
  });
}

template <class T>
void take_where_equal(int64_t count, const T* x, const T* best, PoolSum<T>* pending,
                      PoolSum<T>* y) {
  if constexpr (std::is_same_v<T, float>) {
    row_ops().take_where_equal(count, x, best, pending, y);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      const bool hit = x[i] == best[i];
      y[i] += hit ? pending[i] : PoolSum<T>{0};
      pending[i] = hit ? PoolSum<T>{0} : pending[i];
    }
  }
}

}  // namespace

template <class T>
void max_pool(const PoolSpec& spec, const T* input, T* output) {
  const int64_t c = spec.channels;
  const int64_t in_cells = cells_in(spec.input);
  const int64_t out_cells = cells_in(spec.output);
  const RowOps& rows = row_ops();
  for_each_output(spec, [&](int64_t item, int64_t cell) {
    const T* x = input + item * in_cells * c;
    T* y = output + (item * out_cells + cell) * c;
    std::fill_n(y, c, lowest_value<T>());
    for_each_cell(spec, cells_of(spec, cell), [&](int64_t at) {
      const T* values = x + at * c;
      if constexpr (std::is_same_v<T, float>) {
        rows.maximum(c, values, y);
      } else {
        for (int64_t i = 0; i < c; ++i) y[i] = y[i] < values[i] ? values[i] : y[i];
      }
    });
  });
}

template <class T, class Index>
void max_pool_with_argmax(const PoolSpec& spec, const T* input, bool include_batch_in_index,
                          T* output, Index* argmax) {
  const int64_t c = spec.channels;
  const int64_t in_cells = cells_in(spec.input);
  const int64_t out_cells = cells_in(spec.output);
  for_each_output(spec, [&](int64_t item, int64_t cell) {
    const T* x = input + item * in_cells * c;
    const int64_t base = include_batch_in_index ? item * in_cells * c : 0;
    const int64_t to = (item * out_cells + cell) * c;
    bool first = true;
    for_each_cell(spec, cells_of(spec, cell), [&](int64_t at) {
      for (int64_t i = 0; i < c; ++i) {
        const T value = x[at * c + i];
        if (!first && !(output[to + i] < value)) continue;
        output[to + i] = value;
        argmax[to + i] = static_cast<Index>(base + at * c + i);
      }
      first = false;
    });
  });
}

template <class T>
void max_pool_gradient(const PoolSpec& spec, const T* input, const T* output, const T* d_output,
                       T* d_input) {
  const int64_t c = spec.channels;
  const int64_t in_item = cells_in(spec.input) * c;
  const int64_t out_cells = cells_in(spec.output);
  accumulate_items(spec.batch, in_item, d_input, [&](int64_t item, PoolSum<T>* sums) {
    const T* x = input + item * in_item;
    for (int64_t cell = 0; cell < out_cells; ++cell) {
      const int64_t from = (item * out_cells + cell) * c;
      const Cells cells = cells_of(spec, cell);
      for (int64_t begin = 0; begin < c; begin += kChunk) {
        const int64_t count = std::min(kChunk, c - begin);
        PoolSum<T> pending[kChunk];  // goes to the first cell that holds the maximum
        for (int64_t i = 0; i < count; ++i) {
          pending[i] = static_cast<PoolSum<T>>(d_output[from + begin + i]);
        }
        for_each_cell(spec, cells, [&](int64_t at) {
          take_where_equal(count, x + at * c + begin, output + from + begin, pending,
                           sums + at * c + begin);
        });
      }
    }
  });
}

template <class T>
void average_pool(const PoolSpec& spec, const T* input, T* output) {
  const int64_t c = spec.channels;
  const int64_t in_cells = cells_in(spec.input);
  const int64_t out_cells = cells_in(spec.output);
  const RowOps& rows = row_ops();
  for_each_output(spec, [&](int64_t item, int64_t cell) {
    const T* x = input + item * in_cells * c;
    T* y = output + (item * out_cells + cell) * c;
    const Cells cells = cells_of(spec, cell);
    const auto count = static_cast<PoolSum<T>>(cells.count());
    if constexpr (std::is_same_v<T, float>) {
      std::fill_n(y, c, 0.0f);
      for_each_cell(spec, cells, [&](int64_t at) { rows.add(c, x + at * c, y); });
      for (int64_t i = 0; i < c; ++i) y[i] /= count;
    } else {
      for (int64_t i = 0; i < c; ++i) {
        PoolSum<T> sum{0};
        for_each_cell(spec, cells,
                      [&](int64_t at) { sum += static_cast<PoolSum<T>>(x[at * c + i]); });
        y[i] = static_cast<T>(sum / count);
      }
    }
  });
}

template <class T>
void average_pool_gradient(const PoolSpec& spec, const T* d_output, T* d_input) {
  const int64_t c = spec.channels;
  const int64_t out_cells = cells_in(spec.output);
  accumulate_items(spec.batch, cells_in(spec.input) * c, d_input,
                   [&](int64_t item, PoolSum<T>* sums) {
                     for (int64_t cell = 0; cell < out_cells; ++cell) {
                       const T* dy = d_output + (item * out_cells + cell) * c;
                       const Cells cells = cells_of(spec, cell);
                       const auto count = static_cast<PoolSum<T>>(cells.count());
                       for_each_cell(spec, cells, [&](int64_t at) {
                         PoolSum<T>* sum = sums + at * c;
                         for (int64_t i = 0; i < c; ++i) {
                           sum[i] += static_cast<PoolSum<T>>(dy[i]) / count;
                         }
                       });
                     }
                   });
}

#define TENON_INSTANTIATE_MAX(T)                                                     \
  template void max_pool(const PoolSpec&, const T*, T*);                             \
  template void max_pool_with_argmax(const PoolSpec&, const T*, bool, T*, int64_t*); \
  template void max_pool_with_argmax(const PoolSpec&, const T*, bool, T*, int32_t*); \
  template void max_pool_gradient(const PoolSpec&, const T*, const T*, const T*, T*);
#define TENON_INSTANTIATE_AVERAGE(T)                         \
  template void average_pool(const PoolSpec&, const T*, T*); \
  template void average_pool_gradient(const PoolSpec&, const T*, T*);
TENON_INSTANTIATE_MAX(float)
TENON_INSTANTIATE_MAX(double)
TENON_INSTANTIATE_MAX(float16)
TENON_INSTANTIATE_MAX(bfloat16)
TENON_INSTANTIATE_MAX(int8_t)
TENON_INSTANTIATE_MAX(int16_t)
TENON_INSTANTIATE_MAX(int32_t)
TENON_INSTANTIATE_MAX(int64_t)
TENON_INSTANTIATE_MAX(uint8_t)
TENON_INSTANTIATE_MAX(uint16_t)
TENON_INSTANTIATE_AVERAGE(float)
TENON_INSTANTIATE_AVERAGE(double)
TENON_INSTANTIATE_AVERAGE(float16)
TENON_INSTANTIATE_AVERAGE(bfloat16)
#undef TENON_INSTANTIATE_MAX
#undef TENON_INSTANTIATE_AVERAGE

}  // namespace tenon::kernels
