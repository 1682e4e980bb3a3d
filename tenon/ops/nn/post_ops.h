// The attribute fused_ops of _FusedMatMul and _FusedConv2D as kernels::PostOps.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"
#include "tenon/kernels/post_ops.h"

namespace tenon {

// Inputs from 2 on are read in the order in which fused_ops names BiasAdd and Add.
struct FusedPostOps {
  kernels::PostOps post;
  int bias = -1;
  int residual = -1;
};

// UNIMPLEMENTED names what cannot follow; INVALID_ARGUMENT when the number of inputs does not fit.
StatusOr<FusedPostOps> fused_post_ops(const AttrMap& attrs, int num_inputs);

// Sets the output's shape, given the product's, whose channels are in dimension `channel_axis`. The
// bias is a vector of as many values as there are channels, the residual has the product's shape;
// both have its dtype. INVALID_ARGUMENT names what was found otherwise.
Status fused_post_ops_shape(ShapeContext& c, PartialShape product, int channel_axis);

}  // namespace tenon
