// 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): 16 products where a direct convolution
// takes 36, in float32 throughout. Private: used by conv.cc.
//
// Its transforms add and halve only, so that the error is that of a direct convolution within a
// small factor (conv_test.cc). Forward and input gradient treat each batch item alone and the
// filter gradient adds in an order of the shape: same bits for any team, forward for any batch too.
#pragma once

#include "tenon/kernels/conv.h"

namespace tenon::kernels {

// Is this machine and this convolution one for which Winograd's way is the faster one? Does not
// depend on the batch.
bool winograd_suits(const ConvSpec& spec);

// For convolutions that it suits, under a team of team_size(). Scratch is 64-byte-aligned.
size_t winograd_scratch_bytes(const ConvSpec& spec);
void winograd_forward(const ConvSpec& spec, const float* input, const float* filter,
                      const float* bias, float* output, void* scratch);
void winograd_input_gradient(const ConvSpec& spec, const float* d_output, const float* filter,
                             float* d_input, void* scratch);
void winograd_filter_gradient(const ConvSpec& spec, const float* input, const float* d_output,
                              float* d_filter, void* scratch);

}  // namespace tenon::kernels
