#include "tenon/kernels/pool.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "tenon/base/parallel.h"
#include "tenon/core/float16.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/simd/pool_loops.h"
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

// Output cells of all batch items, split over the team; body(item, cell within the item).
template <class Body>
void for_each_output(const PoolSpec& s, Body&& body) {
  const int64_t cells = cells_in(s.output);
  const int64_t work = cells_in(s.window) * s.channels;
  parallel_for(s.batch * cells, grain_of(work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i / cells, i % cells);
  });
}

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

// Channels that max_pool_gradient keeps track of at once.
constexpr int64_t kChunk = 256;

// One window of a volume. The cells of the padding take part, as the lowest finite number; a NaN
// stands until the next cell comes.
template <class T>
void volume_maximum(const PoolSpec& s, int64_t cell, const T* x, T* y) {
  const int64_t at[3] = {cell / (s.output[1] * s.output[2]), cell / s.output[2] % s.output[1],
                         cell % s.output[2]};
  for (int64_t n = 0; n < cells_in(s.window); ++n) {
    const int64_t within[3] = {n / (s.window[1] * s.window[2]), n / s.window[2] % s.window[1],
                               n % s.window[2]};
    bool inside = true;
    int64_t from = 0;
    for (size_t d = 0; d < 3; ++d) {
      const int64_t place = at[d] * s.stride[d] - s.pad_before[d] + within[d];
      inside = inside && place >= 0 && place < s.input[d];
      from = from * s.input[d] + place;
    }
    for (int64_t i = 0; i < s.channels; ++i) {
      const T value = inside ? x[from * s.channels + i] : std::numeric_limits<T>::lowest();
      if (n == 0 || !(value < y[i])) y[i] = value;
    }
  }
}

// The gradient of a volume goes to all cells that are within TensorFlow's tolerance of the maximum.
template <class T>
void add_volume_gradient(const PoolSpec& s, const T* x, const T* y, const T* dy, PoolSum<T>* sums) {
  const int64_t c = s.channels;
  const T tolerance = static_cast<T>(kVolumeTolerance);
  for (int64_t cell = 0; cell < cells_in(s.output); ++cell) {
    for_each_cell(s, cells_of(s, cell), [&](int64_t at) {
      for (int64_t i = 0; i < c; ++i) {
        const T distance = static_cast<T>(x[at * c + i] - y[cell * c + i]);
        const bool hit = distance < tolerance && static_cast<T>(T{} - distance) < tolerance;
        if (hit) sums[at * c + i] += static_cast<PoolSum<T>>(dy[cell * c + i]);
      }
    });
  }
}

// The gradient of one batch item for dtypes without vector loops, added into zeroed `sums`.
template <class T>
void add_item_gradient(const PoolSpec& s, const T* x, const T* dy, PoolSum<T>* sums) {
  const int64_t c = s.channels;
  const int64_t out_cells = cells_in(s.output);
  for (int64_t cell = 0; cell < out_cells; ++cell) {
    const Cells cells = cells_of(s, cell);
    for (int64_t begin = 0; begin < c; begin += kChunk) {
      const int64_t count = std::min(kChunk, c - begin);
      T best[kChunk];
      int64_t place[kChunk];  // as max_pool_with_argmax finds it
      bool first = true;
      for_each_cell(s, cells, [&](int64_t at) {
        const T* values = x + at * c + begin;
        for (int64_t i = 0; i < count; ++i) {
          if (!first && !(best[i] < values[i])) continue;
          best[i] = values[i];
          place[i] = at * c + begin + i;
        }
        first = false;
      });
      if (first) continue;
      const T* from = dy + cell * c + begin;
      for (int64_t i = 0; i < count; ++i) sums[place[i]] += static_cast<PoolSum<T>>(from[i]);
    }
  }
}

// The same pooling with its dimensions last, so that dimension 2 is the innermost.
PoolSpec with_dimensions_last(PoolSpec s) {
  for (; s.rank < 3; ++s.rank) {
    for (auto* sizes : {&s.input, &s.output, &s.window, &s.stride}) {
      *sizes = {1, (*sizes)[0], (*sizes)[1]};
    }
    s.pad_before = {0, s.pad_before[0], s.pad_before[1]};
  }
  return s;
}

// Runs of windows in the last dimension that have one shape: each at the border by itself, those
// inside together. body(row, first input cell, first output cell), both within the batch item.
template <class Body>
void for_each_window_row(const PoolSpec& s, int64_t row, Body&& body) {
  // Memory of windows that are not huge is on the stack: a run allocates nothing.
  std::array<int64_t, 1024> near;
  std::vector<int64_t> far;
  int64_t* offsets = near.data();
  if (const auto most = static_cast<size_t>(cells_in(s.window)); most > near.size()) {
    far.resize(most);
    offsets = far.data();
  }
  const int64_t width = s.output[2];
  const auto inside = [&](int64_t k) {
    const int64_t first = k * s.stride[2] - s.pad_before[2];
    return first >= 0 && first + s.window[2] <= s.input[2];
  };
  for (int64_t k = 0; k < width;) {
    int64_t end = k + 1;
    while (inside(k) && end < width && inside(end)) ++end;
    const Cells cells = cells_of(s, row * width + k);
    int64_t start = -1;
    size_t count = 0;
    for_each_cell(s, cells, [&](int64_t at) {
      if (start < 0) start = at;
      offsets[count++] = (at - start) * s.channels;
    });
    body(WindowRow{end - k, s.stride[2] * s.channels, s.channels, {offsets, count}},
         std::max<int64_t>(start, 0), row * width + k);
    k = end;
  }
}

// Rows of windows of all batch items, split over the team: body(item, row).
template <class Body>
void for_each_window_line(const PoolSpec& s, Body&& body) {
  const int64_t rows = s.output[0] * s.output[1];
  const int64_t work = cells_in(s.window) * s.channels * s.output[2];
  parallel_for(s.batch * rows, grain_of(work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i / rows, i % rows);
  });
}

// Zeroes the cells of one batch item that lie in no window.
void zero_outside_windows(const PoolSpec& s, float* dx) {
  int64_t end[3];  // windows side by side hold all cells before it
  for (size_t d = 0; d < 3; ++d) {
    const bool gaps = s.stride[d] > s.window[d] && s.output[d] > 1;
    const int64_t reach = (s.output[d] - 1) * s.stride[d] + s.window[d] - s.pad_before[d];
    end[d] = gaps ? 0 : std::clamp<int64_t>(reach, 0, s.input[d]);
  }
  const int64_t line = s.input[2] * s.channels;
  for (int64_t i = 0; i < s.input[0]; ++i) {
    for (int64_t j = 0; j < s.input[1]; ++j, dx += line) {
      const int64_t held = i < end[0] && j < end[1] ? end[2] * s.channels : 0;
      std::fill(dx + held, dx + line, 0.0f);
    }
  }
}

bool windows_overlap(const PoolSpec& s) {
  for (size_t d = 0; d < 3; ++d) {
    if (s.stride[d] < s.window[d] && s.output[d] > 1) return true;
  }
  return false;
}

}  // namespace

template <class T>
void max_pool(const PoolSpec& spec, const T* input, T* output) {
  const int64_t c = spec.channels;
  const int64_t in_cells = cells_in(spec.input);
  const int64_t out_cells = cells_in(spec.output);
  const bool volume = spec.rank == 3;
  if constexpr (std::is_same_v<T, float>) {
    const PoolLoops& loops = pool_loops();
    const PoolSpec s = with_dimensions_last(spec);
    const auto whole = static_cast<size_t>(cells_in(s.window));
    for_each_window_line(s, [&](int64_t item, int64_t row) {
      for_each_window_row(s, row, [&](const WindowRow& run, int64_t from, int64_t to) {
        const float* x = input + item * in_cells * c;
        float* y = output + (item * out_cells + to) * c;
        if (!volume) return loops.maximum(run, x + from * c, y);
        if (run.offsets.size() == whole) return loops.volume_maximum(run, x + from * c, y);
        for (int64_t j = 0; j < run.windows; ++j) volume_maximum(s, to + j, x, y + j * c);
      });
    });
  } else {
    for_each_output(spec, [&](int64_t item, int64_t cell) {
      const T* x = input + item * in_cells * c;
      T* y = output + (item * out_cells + cell) * c;
      if (volume) return volume_maximum(spec, cell, x, y);
      std::fill_n(y, c, std::numeric_limits<T>::lowest());
      for_each_cell(spec, cells_of(spec, cell), [&](int64_t at) {
        const T* values = x + at * c;
        for (int64_t i = 0; i < c; ++i) y[i] = y[i] < values[i] ? values[i] : y[i];
      });
    });
  }
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
  const int64_t out_item = cells_in(spec.output) * c;
  if constexpr (std::is_same_v<T, float>) {
    const PoolSpec s = with_dimensions_last(spec);
    const bool volume = spec.rank == 3, overlap = volume || windows_overlap(s);
    const PoolLoops& loops = pool_loops();
    const auto pass = volume    ? loops.add_to_all
                      : overlap ? loops.add_to_maximum
                                : loops.pass_to_maximum;
    const int64_t rows = s.output[0] * s.output[1];
    parallel_for(s.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        float* dx = d_input + item * in_item;
        if (overlap) {
          std::fill_n(dx, in_item, 0.0f);
        } else {
          zero_outside_windows(s, dx);
        }
        for (int64_t row = 0; row < rows; ++row) {
          for_each_window_row(s, row, [&](const WindowRow& run, int64_t from, int64_t to) {
            const int64_t at = item * out_item + to * c;
            pass(run, input + item * in_item + from * c, output + at, d_output + at, dx + from * c);
          });
        }
      }
    });
  } else {
    accumulate_items(spec.batch, in_item, d_input, [&](int64_t item, PoolSum<T>* sums) {
      const T* x = input + item * in_item;
      const T* dy = d_output + item * out_item;
      if (spec.rank == 3) {
        add_volume_gradient(spec, x, output + item * out_item, dy, sums);
      } else {
        add_item_gradient(spec, x, dy, sums);
      }
    });
  }
}

template <class T>
void max_pool_second_gradient(const PoolSpec& spec, const T* input, const T* output, const T* dx,
                              T* result) {
  const int64_t c = spec.channels;
  const int64_t in_item = cells_in(spec.input) * c;
  const int64_t out_cells = cells_in(spec.output);
  for_each_output(spec, [&](int64_t item, int64_t cell) {
    const int64_t to = (item * out_cells + cell) * c;
    const Cells cells = cells_of(spec, cell);
    for (int64_t i = 0; i < c; ++i) {
      bool found = false;
      result[to + i] = T{};
      for_each_cell(spec, cells, [&](int64_t at) {
        const int64_t from = item * in_item + at * c + i;
        if (found || !(input[from] == output[to + i])) return;
        result[to + i] = dx[from];
        found = true;
      });
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

#define TENON_INSTANTIATE_MAX(T)                                                      \
  template void max_pool(const PoolSpec&, const T*, T*);                              \
  template void max_pool_with_argmax(const PoolSpec&, const T*, bool, T*, int64_t*);  \
  template void max_pool_with_argmax(const PoolSpec&, const T*, bool, T*, int32_t*);  \
  template void max_pool_gradient(const PoolSpec&, const T*, const T*, const T*, T*); \
  template void max_pool_second_gradient(const PoolSpec&, const T*, const T*, const T*, T*);
#define TENON_INSTANTIATE_AVERAGE(T)                         \
  template void average_pool(const PoolSpec&, const T*, T*); \
  template void average_pool_gradient(const PoolSpec&, const T*, T*);
TENON_INSTANTIATE_MAX(float)
TENON_INSTANTIATE_MAX(double)
TENON_INSTANTIATE_MAX(float16)
TENON_INSTANTIATE_MAX(bfloat16)
TENON_INSTANTIATE_MAX(int8_t)
TENON_INSTANTIATE_MAX(int16_t)
TENON_INSTANTIATE_MAX(uint32_t)
TENON_INSTANTIATE_MAX(uint64_t)
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
