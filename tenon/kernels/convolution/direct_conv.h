// Convolutions from few channels, a network's first: each row of the output is one product of the
// input's rows, read in place, and the filter. Private: used by conv.cc.
//
// Rows are computed alone: same bits for any team and any batch. The filter's gradient has the same
// bits for any team.
#pragma once

#include "tenon/kernels/conv.h"

namespace tenon::kernels {

// Is this the faster way on this machine? Does not depend on the batch.
bool direct_conv_suits(const ConvSpec& spec);

// For convolutions that it suits, under a team of team_size(). Scratch is 64-byte-aligned.
size_t direct_conv_scratch_bytes(const ConvSpec& spec);
void direct_conv(const ConvSpec& spec, const float* input, const float* filter, const float* bias,
                 float* output, void* scratch);

// Gradient with respect to the filter.
size_t direct_conv_filter_gradient_scratch_bytes(const ConvSpec& spec);
void direct_conv_filter_gradient(const ConvSpec& spec, const float* input, const float* d_output,
                                 float* d_filter, void* scratch);

}  // namespace tenon::kernels
