// Convolutions from few channels, a network's first: each row of the output is one product of the
// input's rows, read in place, and the filter. Private: used by conv.cc.
//
// Rows are computed alone: same bits for any team and any batch. The filter's gradient has the same
// bits for any team.
#pragma once

#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

// Is this the faster way on this machine? Does not depend on the batch.
bool direct_conv_suits(const ConvSpec& spec);

// For convolutions that it suits.
std::unique_ptr<ConvKernel> make_direct_conv(const ConvSpec& spec);
std::unique_ptr<ConvGradientKernel> make_direct_conv_filter_gradient(const ConvSpec& spec);

}  // namespace tenon::kernels
