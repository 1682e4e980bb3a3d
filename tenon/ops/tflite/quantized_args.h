// What the ops on TensorFlow Lite's integers share: attributes that hold factors as Multipliers
// (`multipliers`, `shifts`), zero points and the range of the output. Whoever makes the node
// computes them from the tensors' scales, as TensorFlow Lite does, in floats or doubles.
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/tflite/fixed_point.h"

#define TENON_LITE_LEVELS "{int8, uint8, int16}"
#define TENON_LITE_FACTORS \
  "multipliers: list(int); shifts: list(int); zero_points: list(int); low: int; high: int"

namespace tenon::lite {

inline constexpr size_t kAnyNumber = static_cast<size_t>(-1);

// INVALID_ARGUMENT where the attributes `multipliers` and `shifts` do not hold `factors`
// Multipliers (kAnyNumber: at least one), `zero_points` other than `zeros` values, or any of them
// what none can be.
Status check_factors(const AttrMap& attrs, size_t factors, size_t zeros);

// The attributes have been checked.
std::vector<Multiplier> multipliers_of(const AttrMap& attrs);
std::vector<int32_t> zero_points_of(const AttrMap& attrs);

// The range [low, high] of an output of `dtype`: attributes `low` and `high`, within the dtype.
struct LevelRange {
  int32_t low, high;
};
LevelRange range_of(const AttrMap& attrs, DType dtype);

// Calls f with an object of the element type: int8, uint8 or int16. UNIMPLEMENTED otherwise.
template <class F>
Status visit_levels(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kInt8:
      f.template operator()<int8_t>();
      return absl::OkStatus();
    case DType::kUint8:
      f.template operator()<uint8_t>();
      return absl::OkStatus();
    case DType::kInt16:
      f.template operator()<int16_t>();
      return absl::OkStatus();
    default:
      return unimplemented("integers of ", dtype);
  }
}

}  // namespace tenon::lite
