// Convolutions whose operands are rounded to bfloat16, summed in float32, by oneDNN: what
// Convolution runs where the processor multiplies bfloat16 natively. Private to this folder.
//
// Each primitive computes a band of rows of one image on one thread: bits are the same for any
// batch and any team.
#pragma once

#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

// Null where bfloat16 is not asked for, or where oneDNN would run its reference code.
std::unique_ptr<ConvKernel> make_onednn_conv(const ConvSpec& spec);

// Layout of a packed filter; plain where make_onednn_conv() gives null.
PackedLayout onednn_conv_layout(const ConvSpec& spec);
Status pack_onednn_conv_filter(const PackedLayout& layout, const ConvSpec& spec,
                               const float* filter, void* packed);

}  // namespace tenon::kernels
