#include "tenon/ops/tflite/quantized_args.h"

namespace tenon::lite {

Status check_factors(const AttrMap& attrs, size_t factors, size_t zeros) {
  const auto& multipliers = attrs.get<std::vector<int64_t>>("multipliers");
  const auto& shifts = attrs.get<std::vector<int64_t>>("shifts");
  const auto& zero_points = attrs.get<std::vector<int64_t>>("zero_points");
  const bool enough = factors == kAnyNumber ? !multipliers.empty() : multipliers.size() == factors;
  if (!enough || shifts.size() != multipliers.size() || zero_points.size() != zeros) {
    return invalid_argument("there are ", multipliers.size(), " multipliers, ", shifts.size(),
                            " shifts and ", zero_points.size(), " zero points");
  }
  for (size_t i = 0; i < multipliers.size(); ++i) {
    if (multipliers[i] < 0 || multipliers[i] > INT32_MAX || shifts[i] < -31 || shifts[i] > 30) {
      return invalid_argument("the factor ", multipliers[i], " * 2^(", shifts[i], " - 31)");
    }
  }
  for (int64_t zero_point : zero_points) {
    if (zero_point < -32768 || zero_point > 32767) {
      return invalid_argument("a zero point is ", zero_point);
    }
  }
  return absl::OkStatus();
}

std::vector<Multiplier> multipliers_of(const AttrMap& attrs) {
  const auto& values = attrs.get<std::vector<int64_t>>("multipliers");
  const auto& shifts = attrs.get<std::vector<int64_t>>("shifts");
  std::vector<Multiplier> multipliers;
  for (size_t i = 0; i < values.size(); ++i) {
    multipliers.push_back({static_cast<int32_t>(values[i]), static_cast<int>(shifts[i])});
  }
  return multipliers;
}

std::vector<int32_t> zero_points_of(const AttrMap& attrs) {
  std::vector<int32_t> zero_points;
  for (int64_t value : attrs.get<std::vector<int64_t>>("zero_points")) {
    zero_points.push_back(static_cast<int32_t>(value));
  }
  return zero_points;
}

LevelRange range_of(const AttrMap& attrs, DType dtype) {
  const int64_t least = dtype == DType::kUint8 ? 0 : dtype == DType::kInt8 ? -128 : -32768;
  const int64_t most = dtype == DType::kUint8 ? 255 : dtype == DType::kInt8 ? 127 : 32767;
  return {static_cast<int32_t>(std::clamp(attrs.get<int64_t>("low"), least, most)),
          static_cast<int32_t>(std::clamp(attrs.get<int64_t>("high"), least, most))};
}

}  // namespace tenon::lite
