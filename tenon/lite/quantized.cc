#include "tenon/lite/quantized.h"

namespace tenon::lite {
namespace {

TensorLevels one_scale(OperatorContext& c, const TensorInfo& info) {
  if (info.quantization.scale.size() != 1 || !(info.quantization.scale[0] > 0)) {
    c.fail(unimplemented("tensor '", info.name.substr(0, 100), "' has ",
                         info.quantization.scale.size(), " scales where one above 0 is needed"));
    return {};
  }
  const int64_t zero_point = info.quantization.zero_point[0];
  const auto [low, high] = level_limits(info.dtype);
  if (zero_point < low || zero_point > high) {
    c.fail(invalid_argument("a zero point is ", zero_point));
    return {};
  }
  return {info.quantization.scale[0], static_cast<int32_t>(zero_point)};
}

// round(x / scale) in an int32, whatever x is.
int32_t rounded(float x) { return static_cast<int32_t>(std::clamp(std::round(x), -1e9F, 1e9F)); }

}  // namespace

bool is_levels(const TensorInfo& info) {
  return (info.dtype == DType::kInt8 || info.dtype == DType::kUint8 ||
          info.dtype == DType::kInt16) &&
         info.quantization;
}

TensorLevels input_levels(OperatorContext& c, int i) { return one_scale(c, c.in_info(i)); }
TensorLevels output_levels(OperatorContext& c, int i) { return one_scale(c, c.out_info(i)); }

std::pair<int32_t, int32_t> level_limits(DType dtype) {
  if (dtype == DType::kUint8) return {0, 255};
  if (dtype == DType::kInt8) return {-128, 127};
  return {-32768, 32767};
}

AttrMap factor_attrs(OperatorContext& c, std::span<const Multiplier> multipliers,
                     std::span<const int32_t> zero_points, int activation) {
  std::vector<int64_t> values, shifts;
  for (const Multiplier& m : multipliers) {
    values.push_back(m.value);
    shifts.push_back(m.shift);
  }
  auto [low, high] = level_limits(c.out_dtype(0));
  if (activation != 0) {
    const TensorLevels y = output_levels(c);
    const auto level = [&](float x) { return y.zero_point + rounded(x / y.scale); };
    switch (static_cast<Activation>(activation)) {
      case Activation::kRelu:
        low = std::max(low, level(0));
        break;
      case Activation::kReluN1To1:
        low = std::max(low, level(-1));
        high = std::min(high, level(1));
        break;
      case Activation::kRelu6:
        low = std::max(low, level(0));
        high = std::min(high, level(6));
        break;
      default:
        c.fail(unimplemented("fused activation ", activation, " of integers"));
    }
  }
  return {{"multipliers", std::move(values)},
          {"shifts", std::move(shifts)},
          {"zero_points", std::vector<int64_t>(zero_points.begin(), zero_points.end())},
          {"low", int64_t{low}},
          {"high", int64_t{high}}};
}

Endpoint by_table(OperatorContext& c, const std::function<int32_t(int32_t)>& f) {
  if (!c.b.status().ok()) return {};
  const auto [low, high] = level_limits(c.in_dtype(0));
  const auto [y_low, y_high] = level_limits(c.out_dtype(0));
  Tensor table(c.out_dtype(0), Shape{int64_t{high} - low + 1});
  c.fail(c.table().charge(table.num_bytes()));
  for (int32_t level = low; level <= high; ++level) {
    const int32_t y = clamped(f(level), y_low, y_high);
    const int32_t index = level - low;
    if (c.out_dtype(0) == DType::kInt16) {
      table.mutable_data<int16_t>()[index] = static_cast<int16_t>(y);
    } else {
      static_cast<uint8_t*>(table.mutable_raw())[index] = static_cast<uint8_t>(y);
    }
  }
  return c.b.op("_LiteTable", {c.in(0), c.b.constant(std::move(table))});
}

void set_by_table(OperatorContext& c, const std::function<int32_t(int32_t)>& f) {
  c.set(0, by_table(c, f));
}

void set_by_lookup(OperatorContext& c, const std::function<float(float)>& f) {
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  if (c.in_dtype(0) != DType::kInt16) {
    const float inverse = 1 / y.scale;
    return set_by_table(c, [&](int32_t level) {
      return rounded(f(x.scale * static_cast<float>(level - x.zero_point)) * inverse) +
             y.zero_point;
    });
  }
  constexpr int kSteps = 512;
  const float low = x.scale * static_cast<float>(-32768 - x.zero_point);
  const float high = x.scale * static_cast<float>(32767 - x.zero_point);
  const float y_low = y.scale * static_cast<float>(-32768 - y.zero_point);
  const float y_high = y.scale * static_cast<float>(32767 - y.zero_point);
  const float step = (high - low) / kSteps, half = step / 2, inverse = 65536.0F / (y_high - y_low);
  std::vector<int32_t> lut;
  for (int i = 0; i < kSteps; ++i) {
    const float at = low + static_cast<float>(i) * step;
    const float sample = std::round(f(at) * inverse);
    const float next = f(low + static_cast<float>(i + 1) * step) * inverse;
    const float error = std::round((next + sample) / 2) - std::round(f(at + half) * inverse);
    lut.push_back(clamped(rounded(sample - std::round(error / 2)), -32768, 32767));
  }
  lut.push_back(clamped(rounded(f(high) * inverse), -32768, 32767));
  set_by_table(c, [&](int32_t level) {
    const auto index = static_cast<size_t>(256 + (level >> 7));
    const int32_t slope = lut[index + 1] - lut[index];
    return lut[index] + ((slope * (level & 0x7f) + 64) >> 7);
  });
}

Endpoint dequantized(GraphBuilder& b, Endpoint value, const Quantization& quantization) {
  return b.op("_LiteDequantize", {value},
              {{"scales", quantization.scale},
               {"zero_points", quantization.zero_point},
               {"axis", int64_t{quantization.axis}}});
}

Endpoint quantized(GraphBuilder& b, Endpoint value, DType dtype, const Quantization& quantization) {
  return b.op("_LiteQuantize", {value},
              {{"T", dtype},
               {"scales", quantization.scale},
               {"zero_points", quantization.zero_point},
               {"axis", int64_t{quantization.axis}}});
}

}  // namespace tenon::lite
