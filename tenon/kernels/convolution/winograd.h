// 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): 16 products where a direct convolution
// takes 36, in float32 throughout. Private: used by conv.cc.
//
// Its transforms add and halve only, so that the error is that of a direct convolution within a
// small factor (conv_test.cc). Forward and input gradient treat each batch item alone and the
// filter gradient adds in an order of the shape: same bits for any team, forward for any batch too.
#pragma once

#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

// Is this machine and this convolution one for which Winograd's way is the faster one? Does not
// depend on the batch.
bool winograd_suits(const ConvSpec& spec);

// Does it suit where the filter is constant, and transformed once?
bool winograd_packs(const ConvSpec& spec);
int64_t winograd_packed_size(const ConvSpec& spec);  // values
void pack_winograd_filter(const ConvSpec& spec, const float* filter, float* packed);

// For convolutions that it suits, or whose filter is packed for it.
std::unique_ptr<ConvKernel> make_winograd_conv(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_winograd_input_gradient(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_winograd_filter_gradient(const ConvSpec& spec);

}  // namespace tenon::kernels
