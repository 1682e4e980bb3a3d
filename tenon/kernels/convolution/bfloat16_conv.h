// Convolutions whose operands are rounded to bfloat16, summed in float32, where the processor
// multiplies so natively. Private: used by .cc files of this folder.
//
// A result's bits depend on its cell and column alone.
#pragma once

#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

// Is that what a convolution runs? A packed filter decides; else the precision that is asked for,
// but for depthwise filters and few channels, which gain nothing.
bool runs_in_bfloat16(const ConvSpec& spec);

StatusOr<std::unique_ptr<ConvKernel>> make_bfloat16_conv(const ConvSpec& spec);

PackedLayout bfloat16_conv_layout(const ConvSpec& spec);
void pack_bfloat16_filter(const ConvSpec& spec, const float* filter, void* packed);

}  // namespace tenon::kernels
