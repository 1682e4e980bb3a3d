// What our own convolution kernels (winograd.h, direct_conv.h) share. Private: used by .cc files of
// this folder.
#pragma once

#include <algorithm>

#include "tenon/base/parallel.h"
#include "tenon/kernels/conv.h"

namespace tenon::kernels {

constexpr int64_t kOwnConvChannels = 256;  // at most

// Is it two-dimensional, dense, float32, with a plain filter, and followed by no more than bias,
// relu and relu6?
inline bool own_conv_form(const ConvSpec& s) {
  return s.rank == 2 && s.groups == 1 && s.precision == Precision::kFloat32 &&
         s.packed.is_plain() && s.post.residual == Residual::kNone && s.dilation[0] == 1 &&
         s.dilation[1] == 1 && limits_of(s.post.activation);
}

// The sum over images of a filter's gradient is kept in so many parts, whatever the team is: at
// most so many threads take part.
inline int64_t gradient_parts(const ConvSpec& s) { return std::min<int64_t>(s.batch, 16); }

inline int64_t input_image(const ConvSpec& s) { return s.input[0] * s.input[1] * s.in_channels; }
inline int64_t output_image(const ConvSpec& s) {
  return s.output[0] * s.output[1] * s.out_channels;
}

}  // namespace tenon::kernels
