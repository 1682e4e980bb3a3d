// The kernels behind Conv2D, DepthwiseConv2dNative, their gradient ops and _FusedConv2D.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"
#include "tenon/kernels/conv.h"

namespace tenon {

// Input indices of what the post-ops read; -1: none.
struct ConvInputs {
  int bias = -1;
  int residual = -1;
};

// Forward: input 0 is the activations, 1 the filter (packed where it is frozen).
StatusOr<Kernel> make_conv_kernel(Prepare& p, bool depthwise, const kernels::PostOps& post = {},
                                  const ConvInputs& inputs = {});

// Inputs: sizes of the result (host), filter, d_output.
StatusOr<Kernel> make_conv_input_gradient_kernel(Prepare& p, bool depthwise);

// Inputs: activations, sizes of the result (host), d_output.
StatusOr<Kernel> make_conv_filter_gradient_kernel(Prepare& p, bool depthwise);

// Shape function of both gradients: input `sizes` is the result's shape.
Status conv_gradient_shape(ShapeContext& c, bool depthwise, bool of_filter);

}  // namespace tenon
