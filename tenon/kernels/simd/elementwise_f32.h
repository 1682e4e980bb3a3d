// The vectorised float32 part of elementwise.h. Private to this folder.
#pragma once

// Fewer instruction sets, for build time: each one above the baseline recompiles every kernel, and
// these add nothing to float32 loops.
#define HWY_DISABLED_TARGETS (HWY_SSE4 | HWY_AVX3_DL)

#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {

// Null where float32 has no vectorised kernel.
UnaryKernel find_unary_f32(UnaryOp op);
BinaryKernel find_binary_f32(BinaryOp op);

}  // namespace tenon::kernels
