// Sums, differences and products of levels (quantised integers), as TensorFlow Lite's reference
// kernels compute them, bit for bit. Overflow wraps.
#pragma once

#include "tenon/core/dtype.h"
#include "tenon/kernels/broadcast.h"

namespace tenon::kernels {

// multiplier * 2^(shift - 31): multiplier >= 0, shift from -31 to 30.
struct LevelFactor {
  int32_t multiplier = 0, shift = 0;
};

enum class LevelBinaryKind { kAdd, kSubtract, kSquaredDifference, kMultiply };

// y = clamp((a' op b') * y_factor + zero_y), where a' = ((a - zero_a) << left_shift) * a_factor and
// b' likewise; of kMultiply, a' = a - zero_a.
struct LevelBinary {
  LevelBinaryKind kind = LevelBinaryKind::kAdd;
  DType dtype = DType::kInt8;  // of all three: int8, uint8, int16
  int32_t zero_a = 0, zero_b = 0, zero_y = 0, low = 0, high = 0;
  int32_t left_shift = 0;  // 0 to 20
  LevelFactor a, b, y;
};

// In parallel, over a plan of two inputs.
void run_level_binary(const LevelBinary& s, const BroadcastPlan& plan, const void* a, const void* b,
                      void* y);

}  // namespace tenon::kernels
