// Depthwise convolutions that make one channel of each, and their gradients: vectors of channels,
// gathered tap by tap. Private: used by conv.cc.
//
// Bits: as those of gathered_conv.h.
#pragma once

#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

// Is there one filter for each channel? Then the filter is taken plain.
bool is_depthwise(const ConvSpec& spec);

std::unique_ptr<ConvKernel> make_depthwise_conv(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_depthwise_input_gradient(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_depthwise_filter_gradient(const ConvSpec& spec);

}  // namespace tenon::kernels
