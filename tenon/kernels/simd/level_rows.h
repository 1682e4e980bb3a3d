// The inner loops of element-wise operations on levels (quantised integers), on one thread. Private
// to kernels/.
#pragma once

#include "tenon/kernels/levels/level_binary.h"

namespace tenon::kernels {

// `count` results of operands whose elements are a_step and b_step apart: 0 or 1.
using LevelBinaryLoop = void (*)(const LevelBinary& s, const void* a, int64_t a_step, const void* b,
                                 int64_t b_step, int64_t count, void* y);

// The loop for s.kind and s.dtype.
LevelBinaryLoop level_binary_loop(const LevelBinary& s);

}  // namespace tenon::kernels
