// Max and average pooling of rank 1 to 3 over channels-last activations, and their gradients.
//
// input [batch, spatial.., channels], output [batch, output.., channels]. Padding holds no values:
// the maximum ignores it, the average divides by the cells inside the input only, as TensorFlow
// does. Where several cells hold the maximum, the first in row-major window order gets the
// gradient. Same bits for any team size. T: float, double, float16, bfloat16 (sums in float for the
// last two); max_pool also integers.
#pragma once

#include <array>
#include <cstdint>

namespace tenon::kernels {

struct PoolSpec {
  int rank = 2;
  int64_t batch = 0;
  int64_t channels = 0;
  std::array<int64_t, 3> input{1, 1, 1};  // unused trailing entries stay 1 (paddings 0)
  std::array<int64_t, 3> output{1, 1, 1};
  std::array<int64_t, 3> window{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> pad_before{0, 0, 0};
};

template <class T>
void max_pool(const PoolSpec& spec, const T* input, T* output);

// Also writes where each maximum lies: its flat index within its batch item ((y * width + x) *
// channels + c), plus the batch item's offset when `include_batch_in_index`.
template <class T, class Index>
void max_pool_with_argmax(const PoolSpec& spec, const T* input, bool include_batch_in_index,
                          T* output, Index* argmax);

template <class T>
void max_pool_gradient(const PoolSpec& spec, const T* input, const T* output, const T* d_output,
                       T* d_input);

template <class T>
void average_pool(const PoolSpec& spec, const T* input, T* output);

template <class T>
void average_pool_gradient(const PoolSpec& spec, const T* d_output, T* d_input);

}  // namespace tenon::kernels
