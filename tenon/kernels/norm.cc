#include "tenon/kernels/norm.h"

#include <algorithm>
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/simd/row_ops.h"

namespace tenon::kernels {
namespace {

// Channels whose sums are kept side by side.
constexpr int64_t kChannelChunk = 64;
// Rows of a chunk that stay in the L2 cache for a second pass.
constexpr int64_t kBlockRows = 256;
// Pieces of rows that are summed apart, of all chunks together where there are several.
constexpr int64_t kMostNormParts = 64;

// A State of all rows for each chunk of channels: `add(rows begin, rows end, first channel,
// channels, state)` makes it of some rows (at least one), `State::merge` puts two of successive
// rows together, `finish` is given the whole. The team shares chunks and parts of the rows; how
// many parts there are, the shape alone decides.
template <class State, class Add, class Finish>
void sum_channels(int64_t rows, int64_t channels, Add&& add, Finish&& finish) {
  const int64_t chunks = (channels + kChannelChunk - 1) / kChannelChunk;
  const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  const int64_t parts =
      std::clamp<int64_t>(kMostNormParts / std::max<int64_t>(chunks, 1), 1, blocks);
  const auto sum = [&](int64_t part, int64_t chunk, State& state) {
    const int64_t first = chunk * kChannelChunk;
    add(rows * part / parts, rows * (part + 1) / parts, first,
        std::min(kChannelChunk, channels - first), state);
  };
  const int64_t grain = grain_of(rows / parts * kChannelChunk);
  if (parts == 1) {
    parallel_for(chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        State state;
        sum(0, chunk, state);
        finish(chunk * kChannelChunk, std::min(kChannelChunk, channels - chunk * kChannelChunk),
               state);
      }
    });
    return;
  }
  State states[kMostNormParts];
  parallel_for(parts * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum(i / chunks, i % chunks, states[i]);
  });
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t first = chunk * kChannelChunk;
    const int64_t count = std::min(kChannelChunk, channels - first);
    for (int64_t part = 1; part < parts; ++part) {
      states[chunk].merge(states[part * chunks + chunk], count);
    }
    finish(first, count, states[chunk]);
  }
}

// Means and sums of squared differences from them, put together as in Chan, Golub, LeVeque,
// "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
struct Moments {
  double rows;
  double mean[kChannelChunk];
  double squares[kChannelChunk];

  void merge(const Moments& other, int64_t count) {
    const double all = rows + other.rows;
    for (int64_t i = 0; i < count; ++i) {
      const double apart = other.mean[i] - mean[i];
      mean[i] += apart * (other.rows / all);
      squares[i] += other.squares[i] + apart * apart * (rows * other.rows / all);
    }
    rows = all;
  }

  // Of rows [begin, end) of x, `count` channels from x on.
  void set(int64_t begin, int64_t end, const float* x, int64_t row, int64_t count) {
    const RowOps& ops = row_ops();
    rows = static_cast<double>(end - begin);
    std::fill_n(mean, count, 0.0);
    std::fill_n(squares, count, 0.0);
    for (int64_t r = begin; r < end; ++r) ops.add_to_double(count, x + r * row, mean);
    float center[kChannelChunk];
    for (int64_t i = 0; i < count; ++i) {
      mean[i] /= rows;
      center[i] = static_cast<float>(mean[i]);
    }
    for (int64_t r = begin; r < end; ++r) {
      ops.add_square_difference(count, x + r * row, center, squares);
    }
    for (int64_t i = 0; i < count; ++i) {
      const double off = mean[i] - static_cast<double>(center[i]);
      squares[i] = std::max(0.0, squares[i] - rows * off * off);
    }
  }
};

// sum(dy) and sum(dy * (x - mean)).
struct GradientSums {
  double sums[kChannelChunk];
  double products[kChannelChunk];

  void merge(const GradientSums& other, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      sums[i] += other.sums[i];
      products[i] += other.products[i];
    }
  }
};

double inverse_deviation(float variance, float epsilon) {
  return 1.0 / std::sqrt(static_cast<double>(variance) + static_cast<double>(epsilon));
}

// body(row) for all rows, split over the team.
template <class Body>
void for_each_row(int64_t rows, int64_t channels, Body&& body) {
  parallel_for(rows, grain_of(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row * channels);
  });
}

}  // namespace

void batch_norm_training(const BatchNorm& n, const float* x, const float* offset, float* y,
                         float* mean, float* variance, float* factors) {
  sum_channels<Moments>(
      n.rows, n.channels,
      [&](int64_t begin, int64_t end, int64_t first, int64_t count, Moments& moments) {
        moments.set(begin, std::min(end, begin + kBlockRows), x + first, n.channels, count);
        for (int64_t row = begin + kBlockRows; row < end; row += kBlockRows) {
          Moments block;
          block.set(row, std::min(end, row + kBlockRows), x + first, n.channels, count);
          moments.merge(block, count);
        }
      },
      [&](int64_t first, int64_t count, const Moments& moments) {
        for (int64_t i = 0; i < count; ++i) {
          mean[first + i] = static_cast<float>(moments.mean[i]);
          variance[first + i] = static_cast<float>(moments.squares[i] / moments.rows);
        }
      });
  batch_norm_inference(n.with(mean, variance), x, offset, y, factors);
}

void batch_norm_inference(const BatchNorm& n, const float* x, const float* offset, float* y,
                          float* factors) {
  float* const factor = factors;
  float* const shift = factors + n.channels;
  for (int64_t c = 0; c < n.channels; ++c) {
    const double by = static_cast<double>(n.scale[c]) * inverse_deviation(n.variance[c], n.epsilon);
    factor[c] = static_cast<float>(by);
    shift[c] =
        static_cast<float>(static_cast<double>(offset[c]) - static_cast<double>(n.mean[c]) * by);
  }
  for_each_row(n.rows, n.channels,
               [&](int64_t at) { row_ops().affine(n.channels, x + at, factor, shift, y + at); });
}

namespace {

// d_offset = sum(dy), d_scale = sum(dy * (x - mean)) / sqrt(variance + epsilon).
void batch_norm_sums(const BatchNorm& n, const float* dy, const float* x, float* d_scale,
                     float* d_offset) {
  const RowOps& ops = row_ops();
  sum_channels<GradientSums>(
      n.rows, n.channels,
      [&](int64_t begin, int64_t end, int64_t first, int64_t count, GradientSums& state) {
        std::fill_n(state.sums, count, 0.0);
        std::fill_n(state.products, count, 0.0);
        for (int64_t row = begin; row < end; ++row) {
          const int64_t at = row * n.channels + first;
          ops.add_to_double(count, dy + at, state.sums);
          ops.add_product_to_double(count, dy + at, x + at, n.mean + first, state.products);
        }
      },
      [&](int64_t first, int64_t count, const GradientSums& state) {
        for (int64_t i = 0; i < count; ++i) {
          const double r = inverse_deviation(n.variance[first + i], n.epsilon);
          d_offset[first + i] = static_cast<float>(state.sums[i]);
          d_scale[first + i] = static_cast<float>(state.products[i] * r);
        }
      });
}

}  // namespace

// dx = scale * r * (dy - mean(dy) - (x - mean) * r * mean(dy * (x - mean) * r)), with
// r = 1 / sqrt(variance + epsilon); written as dy * p + x * q + s.
void batch_norm_training_gradient(const BatchNorm& n, const float* dy, const float* x, float* dx,
                                  float* d_scale, float* d_offset, float* factors) {
  batch_norm_sums(n, dy, x, d_scale, d_offset);
  float* const p = factors;
  float* const q = p + n.channels;
  float* const s = q + n.channels;
  const auto rows = static_cast<double>(n.rows);
  for (int64_t c = 0; c < n.channels; ++c) {
    const double r = inverse_deviation(n.variance[c], n.epsilon);
    const double by = static_cast<double>(n.scale[c]) * r;
    const double slope = -by * r * static_cast<double>(d_scale[c]) / rows;
    p[c] = static_cast<float>(by);
    q[c] = static_cast<float>(slope);
    s[c] = static_cast<float>(-by * static_cast<double>(d_offset[c]) / rows -
                              slope * static_cast<double>(n.mean[c]));
  }
  for_each_row(n.rows, n.channels, [&](int64_t at) {
    row_ops().affine_two(n.channels, dy + at, p, x + at, q, s, dx + at);
  });
}

void batch_norm_inference_gradient(const BatchNorm& n, const float* dy, const float* x, float* dx,
                                   float* d_scale, float* d_offset, float* factors) {
  batch_norm_sums(n, dy, x, d_scale, d_offset);
  for (int64_t c = 0; c < n.channels; ++c) {
    factors[c] = static_cast<float>(static_cast<double>(n.scale[c]) *
                                    inverse_deviation(n.variance[c], n.epsilon));
  }
  float* const no_shift = std::fill_n(factors + n.channels, n.channels, 0.0f) - n.channels;
  for_each_row(n.rows, n.channels, [&](int64_t at) {
    row_ops().affine(n.channels, dy + at, factors, no_shift, dx + at);
  });
}

void layer_norm(int64_t rows, int64_t columns, const float* x, const float* scale,
                const float* offset, float epsilon, float* y) {
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, columns));
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + row * columns;
      float* to = y + row * columns;
      const float mean = row_ops().sum(columns, from) / static_cast<float>(columns);
      for (int64_t i = 0; i < columns; ++i) to[i] = from[i] - mean;
      const float variance = row_ops().sum_squares(columns, to) / static_cast<float>(columns);
      const auto r = static_cast<float>(inverse_deviation(variance, epsilon));
      for (int64_t i = 0; i < columns; ++i) {
        to[i] = to[i] * r * (scale == nullptr ? 1.0f : scale[i]) +
                (offset == nullptr ? 0.0f : offset[i]);
      }
    }
  });
}

}  // namespace tenon::kernels
