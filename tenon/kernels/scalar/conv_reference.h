// Sizes and the walk over a convolution's products, for the plain loops. Private to this folder.
#pragma once

#include "tenon/kernels/conv.h"

namespace tenon::kernels {

inline int64_t volume(const std::array<int64_t, 3>& sizes) {
  return sizes[0] * sizes[1] * sizes[2];
}

inline int64_t conv_input_count(const ConvSpec& s) {
  return s.batch * volume(s.input) * s.in_channels;
}
inline int64_t conv_output_count(const ConvSpec& s) {
  return s.batch * volume(s.output) * s.out_channels;
}
inline int64_t conv_filter_count(const ConvSpec& s) {
  return volume(s.kernel) * (s.in_channels / s.groups) * s.out_channels;
}

// Calls body(input_cell, tap) for each tap of the window at output cell `cell` (row-major index)
// that lies inside the input; both are row-major indices without batch and channels. Order: taps
// row-major.
template <class Body>
void for_each_tap(const ConvSpec& s, int64_t cell, Body&& body) {
  const int64_t o[3] = {cell / (s.output[1] * s.output[2]), cell / s.output[2] % s.output[1],
                        cell % s.output[2]};
  int64_t at[3];
  int64_t tap = 0;
  for (int64_t i = 0; i < s.kernel[0]; ++i) {
    at[0] = o[0] * s.stride[0] - s.pad_before[0] + i * s.dilation[0];
    for (int64_t j = 0; j < s.kernel[1]; ++j) {
      at[1] = o[1] * s.stride[1] - s.pad_before[1] + j * s.dilation[1];
      for (int64_t k = 0; k < s.kernel[2]; ++k, ++tap) {
        at[2] = o[2] * s.stride[2] - s.pad_before[2] + k * s.dilation[2];
        bool inside = true;
        for (size_t d = 0; d < 3; ++d) inside = inside && at[d] >= 0 && at[d] < s.input[d];
        if (inside) body((at[0] * s.input[1] + at[1]) * s.input[2] + at[2], tap);
      }
    }
  }
}

}  // namespace tenon::kernels
