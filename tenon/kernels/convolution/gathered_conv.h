// Convolutions of any rank, stride, dilation and padding, grouped or not, as products whose rows
// are gathered (gathered_product.h), and their gradients. Private: used by conv.cc.
//
// Forward and input gradient: bits of a row are the same for any team, forward for any batch too.
// The filter gradient adds in an order of the shape: same bits for any team.
#pragma once

#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

// The spec's filter is plain, or packed by pack_conv_panels().
std::unique_ptr<ConvKernel> make_gathered_conv(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_gathered_input_gradient(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_gathered_filter_gradient(const ConvSpec& spec);

// Floats of a filter in panels, group after group, and the packing, with the calling thread's team.
int64_t conv_panels_size(const ConvSpec& spec);
void pack_conv_panels(const ConvSpec& spec, const float* filter, float* panels);
// Are they what the plain filter is?
bool conv_panels_are_plain(const ConvSpec& spec);

}  // namespace tenon::kernels
