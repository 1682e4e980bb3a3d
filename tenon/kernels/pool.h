// Max and average pooling of rank 1 to 3 over channels-last activations, and their gradients.
//
// input [batch, spatial.., channels], output [batch, output.., channels]. Padding holds no values:
// the maximum ignores it, the average divides by the cells inside the input only, as TensorFlow
// does. The values and gradients are those of TensorFlow's CPU kernels, where NaN and -infinity
// stand too. Rank 1 and 2: a maximum is the lowest finite number at least, and no NaN; its gradient
// goes to the first cell in row-major window order that nothing later is larger than, so to a NaN
// that comes first. Rank 3: a NaN stands until the next cell of the window comes, padding holds the
// lowest finite number, and all cells within 1e-5 of the maximum get its gradient whole. Same bits
// for any team size. T: float, double, float16, bfloat16 (sums in float for the last two); max_pool
// also integers.
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

// What `dx` holds at the first cell of each window that equals `output`; 0 where none does.
template <class T>
void max_pool_second_gradient(const PoolSpec& spec, const T* input, const T* output, const T* dx,
                              T* result);

template <class T>
void average_pool(const PoolSpec& spec, const T* input, T* output);

template <class T>
void average_pool_gradient(const PoolSpec& spec, const T* d_output, T* d_input);

}  // namespace tenon::kernels
