// The vectorised float32 part of elementwise.h. Private to this folder.
#pragma once

#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {

// Null where float32 has no vectorised kernel.
UnaryKernel find_unary_f32(UnaryOp op);
BinaryKernel find_binary_f32(BinaryOp op);

}  // namespace tenon::kernels
