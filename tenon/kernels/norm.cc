#include "tenon/kernels/norm.h"

#include <algorithm>
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/simd/row_ops.h"

namespace tenon::kernels {
namespace {

// Channels whose statistics are kept on the stack at once; threads split the channels by it.
constexpr int64_t kChannelChunk = 64;

// body(first channel, channels) for pieces of at most kChannelChunk, split over the team. Each
// channel is summed over all rows by one thread, in the order of the rows.
template <class Body>
void for_each_chunk(int64_t rows, int64_t channels, Body&& body) {
  const int64_t chunks = (channels + kChannelChunk - 1) / kChannelChunk;
  const int64_t grain = grain_of(rows * kChannelChunk);
  parallel_for(chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kChannelChunk;
      body(first, std::min(kChannelChunk, channels - first));
    }
  });
}

// y = x * scale + shift over rows, split over the team; `make(first, count, scale, shift)` fills
// the factors of a piece of channels.
template <class Make>
void affine_rows(int64_t rows, int64_t channels, const float* x, float* y, Make&& make) {
  const RowOps& ops = row_ops();
  const int64_t grain = grain_of(channels);
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    float scale[kChannelChunk];
    float shift[kChannelChunk];
    for (int64_t first = 0; first < channels; first += kChannelChunk) {
      const int64_t count = std::min(kChannelChunk, channels - first);
      make(first, count, scale, shift);
      for (int64_t row = begin; row < end; ++row) {
        ops.affine(count, x + row * channels + first, scale, shift, y + row * channels + first);
      }
    }
  });
}

double inverse_deviation(float variance, float epsilon) {
  return 1.0 / std::sqrt(static_cast<double>(variance) + static_cast<double>(epsilon));
}

}  // namespace

void batch_norm_training(int64_t rows, int64_t channels, const float* x, const float* scale,
                         const float* offset, float epsilon, float* y, float* mean,
                         float* variance) {
  const RowOps& ops = row_ops();
  for_each_chunk(rows, channels, [&](int64_t first, int64_t count) {
    double sums[kChannelChunk] = {};
    for (int64_t row = 0; row < rows; ++row) {
      ops.add_to_double(count, x + row * channels + first, sums);
    }
    for (int64_t i = 0; i < count; ++i) {
      mean[first + i] = static_cast<float>(sums[i] / static_cast<double>(rows));
      sums[i] = 0;
    }
    for (int64_t row = 0; row < rows; ++row) {
      ops.add_square_difference(count, x + row * channels + first, mean + first, sums);
    }
    for (int64_t i = 0; i < count; ++i) {
      variance[first + i] = static_cast<float>(sums[i] / static_cast<double>(rows));
    }
  });
  batch_norm_inference(rows, channels, x, scale, offset, mean, variance, epsilon, y);
}

void batch_norm_inference(int64_t rows, int64_t channels, const float* x, const float* scale,
                          const float* offset, const float* mean, const float* variance,
                          float epsilon, float* y) {
  affine_rows(rows, channels, x, y, [&](int64_t first, int64_t count, float* factor, float* shift) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t c = first + i;
      const double by = static_cast<double>(scale[c]) * inverse_deviation(variance[c], epsilon);
      factor[i] = static_cast<float>(by);
      shift[i] =
          static_cast<float>(static_cast<double>(offset[c]) - static_cast<double>(mean[c]) * by);
    }
  });
}

namespace {

// d_offset = sum(dy), d_scale = sum(dy * (x - mean)) / sqrt(variance + epsilon).
void batch_norm_sums(int64_t rows, int64_t channels, const float* dy, const float* x,
                     const float* mean, const float* variance, float epsilon, float* d_scale,
                     float* d_offset) {
  const RowOps& ops = row_ops();
  for_each_chunk(rows, channels, [&](int64_t first, int64_t count) {
    double sums[kChannelChunk] = {};
    double products[kChannelChunk] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = row * channels + first;
      ops.add_to_double(count, dy + at, sums);
      ops.add_product_to_double(count, dy + at, x + at, mean + first, products);
    }
    for (int64_t i = 0; i < count; ++i) {
      d_offset[first + i] = static_cast<float>(sums[i]);
      d_scale[first + i] =
          static_cast<float>(products[i] * inverse_deviation(variance[first + i], epsilon));
    }
  });
}

}  // namespace

// dx = scale * r * (dy - mean(dy) - (x - mean) * r * mean(dy * (x - mean) * r)), with
// r = 1 / sqrt(variance + epsilon); written as dy * p + x * q + s.
void batch_norm_training_gradient(int64_t rows, int64_t channels, const float* dy, const float* x,
                                  const float* scale, const float* mean, const float* variance,
                                  float epsilon, float* dx, float* d_scale, float* d_offset) {
  batch_norm_sums(rows, channels, dy, x, mean, variance, epsilon, d_scale, d_offset);
  const RowOps& ops = row_ops();
  const int64_t grain = grain_of(channels);
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    float p[kChannelChunk];
    float q[kChannelChunk];
    float s[kChannelChunk];
    for (int64_t first = 0; first < channels; first += kChannelChunk) {
      const int64_t count = std::min(kChannelChunk, channels - first);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t c = first + i;
        const double r = inverse_deviation(variance[c], epsilon);
        const double by = static_cast<double>(scale[c]) * r;
        const double n = static_cast<double>(rows);
        const double slope = -by * r * static_cast<double>(d_scale[c]) / n;
        p[i] = static_cast<float>(by);
        q[i] = static_cast<float>(slope);
        s[i] = static_cast<float>(-by * static_cast<double>(d_offset[c]) / n -
                                  slope * static_cast<double>(mean[c]));
      }
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * channels + first;
        ops.affine_two(count, dy + at, p, x + at, q, s, dx + at);
      }
    }
  });
}

void batch_norm_inference_gradient(int64_t rows, int64_t channels, const float* dy, const float* x,
                                   const float* scale, const float* mean, const float* variance,
                                   float epsilon, float* dx, float* d_scale, float* d_offset) {
  batch_norm_sums(rows, channels, dy, x, mean, variance, epsilon, d_scale, d_offset);
  affine_rows(rows, channels, dy, dx,
              [&](int64_t first, int64_t count, float* factor, float* shift) {
                for (int64_t i = 0; i < count; ++i) {
                  const int64_t c = first + i;
                  factor[i] = static_cast<float>(static_cast<double>(scale[c]) *
                                                 inverse_deviation(variance[c], epsilon));
                  shift[i] = 0.0f;
                }
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
