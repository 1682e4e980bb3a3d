// Shapes and sums that the tests of convolutions share. Included by *_test.cc files only.
#pragma once

#include "tenon/kernels/conv.h"

namespace tenon::kernels {

// A second implementation, written as the definition: y[o] = sum x[o * s - p + k * d] * w[k].
struct NaiveConv {
  const ConvSpec& s;
  int64_t in_cells = s.input[0] * s.input[1] * s.input[2];
  int64_t out_cells = s.output[0] * s.output[1] * s.output[2];

  // body(input element, filter element, output element) for every product.
  template <class Body>
  void products(Body body) const {
    const int64_t in_group = s.in_channels / s.groups;
    const int64_t out_group = s.out_channels / s.groups;
    for (int64_t n = 0; n < s.batch; ++n) {
      for (int64_t cell = 0; cell < out_cells; ++cell) {
        const int64_t o[] = {cell / (s.output[1] * s.output[2]), cell / s.output[2] % s.output[1],
                             cell % s.output[2]};
        for (int64_t tap = 0; tap < s.kernel[0] * s.kernel[1] * s.kernel[2]; ++tap) {
          const int64_t k[] = {tap / (s.kernel[1] * s.kernel[2]), tap / s.kernel[2] % s.kernel[1],
                               tap % s.kernel[2]};
          int64_t at[3];
          bool inside = true;
          for (size_t d = 0; d < 3; ++d) {
            at[d] = o[d] * s.stride[d] - s.pad_before[d] + k[d] * s.dilation[d];
            inside = inside && at[d] >= 0 && at[d] < s.input[d];
          }
          if (!inside) continue;
          const int64_t x_cell = n * in_cells + (at[0] * s.input[1] + at[1]) * s.input[2] + at[2];
          for (int64_t oc = 0; oc < s.out_channels; ++oc) {
            for (int64_t ic = 0; ic < in_group; ++ic) {
              body(x_cell * s.in_channels + oc / out_group * in_group + ic,
                   (tap * in_group + ic) * s.out_channels + oc,
                   (n * out_cells + cell) * s.out_channels + oc);
            }
          }
        }
      }
    }
  }
};

inline ConvSpec spec_of(int64_t batch, std::array<int64_t, 2> input, int64_t in, int64_t out,
                        std::array<int64_t, 2> kernel, int64_t stride, int64_t dilation,
                        Padding padding, int64_t groups) {
  ConvSpec s;
  s.batch = batch;
  s.in_channels = in;
  s.out_channels = out;
  s.groups = groups;
  for (size_t d = 0; d < 2; ++d) {
    s.input[d] = input[d];
    s.kernel[d] = kernel[d];
    s.stride[d] = stride;
    s.dilation[d] = dilation;
    const Window w = window_of(input[d], kernel[d], stride, dilation, padding, 2, 1).value();
    s.output[d] = w.output;
    s.pad_before[d] = w.pad_before;
    s.pad_after[d] = w.pad_after;
  }
  return s;
}

inline int64_t cells(const std::array<int64_t, 3>& a) { return a[0] * a[1] * a[2]; }
inline int64_t inputs_of(const ConvSpec& s) { return s.batch * cells(s.input) * s.in_channels; }
inline int64_t outputs_of(const ConvSpec& s) { return s.batch * cells(s.output) * s.out_channels; }
inline int64_t filters_of(const ConvSpec& s) {
  return cells(s.kernel) * s.in_channels / s.groups * s.out_channels;
}

}  // namespace tenon::kernels
