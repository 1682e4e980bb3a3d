// The attribute fused_ops of _FusedMatMul and _FusedConv2D as kernels::PostOps.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/kernels/post_ops.h"

namespace tenon {

// Inputs from 2 on are read in the order in which fused_ops names BiasAdd and Add.
struct FusedPostOps {
  kernels::PostOps post;
  int bias = -1;
  int residual = -1;
};

// UNIMPLEMENTED names what cannot follow; INVALID_ARGUMENT when the number of inputs does not fit.
StatusOr<FusedPostOps> fused_post_ops(const Prepare& p);

}  // namespace tenon
