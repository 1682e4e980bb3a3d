// Element-wise operators on levels. One argument: a table of all values, filled by LiteRT's
// arithmetic. Two: _LiteAdd, _LiteMul, _LiteCompare.
#include "tenon/lite/quantized.h"
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

bool levels_out(OperatorContext& c) { return is_levels(c.out_info(0)); }

template <float (*f)(float)>
bool looked_up(OperatorContext& c) {
  if (!levels_out(c)) return false;
  set_by_lookup(c, f);
  return true;
}

// 8 bits alone: LiteRT's 16-bit form is another, or none.
template <float (*f)(float)>
bool looked_up_8(OperatorContext& c) {
  return c.in_dtype(0) != DType::kInt16 && looked_up<f>(c);
}

float tanh_of(float x) { return std::tanh(x); }
float logistic_of(float x) { return 1.0F / (1.0F + std::exp(-x)); }
float elu_of(float x) { return x < 0 ? std::expm1(x) : x; }
float exp_of(float x) { return std::exp(x); }

// What LiteRT interpolates between for 16 bits, in 1/65536: sigmoid at i/24, and half of what a
// straight line to the next sample lacks in the middle (sigmoid_table_uint16 in common.cc).
int32_t sigmoid_sample(uint32_t i) {
  const auto sigmoid = [i](double more) { return 65536 / (1 + std::exp(-(i + more) / 24)); };
  const double lacking = sigmoid(0.5) - (sigmoid(0) + sigmoid(1)) / 2;
  return static_cast<int32_t>(std::min(std::round(sigmoid(0) + lacking / 2), 65535.0));
}

// The factor that brings levels to 1/(3 * 4096), and the shift that follows it.
struct SigmoidInput {
  int32_t factor;
  int shift;
  int32_t of(int32_t level) const {
    const int64_t round = shift > 0 ? int64_t{1} << (shift - 1) : 0;
    const int64_t value = (int64_t{level} * factor + round) >> shift;
    return static_cast<int32_t>(std::clamp<int64_t>(value, -(1 << 30), 1 << 30));
  }
};

SigmoidInput sigmoid_input(float scale) {
  const float log2 = std::log(scale) * (1.0F / std::log(2.0F));
  const float whole = std::round(log2);
  const int left = 12 + static_cast<int>(whole);
  if (std::abs(log2 - whole) < 1e-3F && left >= 0 && left <= 16) return {3 << left, 0};
  double factor = double{scale} * 4096.0 * 3.0;
  int shift = 0;
  while (factor <= 32767.0 / 2.0 && shift <= 30) {
    ++shift;
    factor *= 2;
  }
  return {static_cast<int16_t>(std::min(factor, 32767.0)), shift};
}

void set_logistic_16(OperatorContext& c) {
  const SigmoidInput input = sigmoid_input(input_levels(c, 0).scale);
  set_by_table(c, [&](int32_t level) {
    const int32_t x = input.of(level);
    const auto size = static_cast<uint32_t>(std::abs(x));
    const uint32_t high = size >> 9;
    uint32_t result = 0x7FFFU << 10;
    if (high < 255) {
      const auto a = static_cast<uint32_t>(sigmoid_sample(high));
      const auto b = static_cast<uint32_t>(sigmoid_sample(high + 1));
      result = (a << 9) + (size & 0x1ff) * (b - a);
    }
    result = x >= 0 ? result + (1U << 9) : (1U << 25) - result + (1U << 9) - 1;
    return static_cast<int32_t>(result >> 10);
  });
}

void set_tanh_16(OperatorContext& c) {
  const SigmoidInput input = sigmoid_input(input_levels(c, 0).scale);
  set_by_table(c, [&](int32_t level) {
    const int32_t x = input.of(level);
    const auto size = static_cast<uint32_t>(std::abs(x));
    const uint32_t high = size >> 8;
    int32_t result = 0xFFFF << 8;
    if (high < 255) {
      const int32_t a = sigmoid_sample(high), b = sigmoid_sample(high + 1);
      result = (a << 8) + static_cast<int32_t>(size & 0xff) * (b - a);
    }
    result = x >= 0 ? result - (1 << 23) + (1 << 7) : -result + (1 << 23) + (1 << 7) - 1;
    return result >> 8;
  });
}

bool tanh_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  if (c.in_dtype(0) != DType::kInt16) return looked_up<tanh_of>(c);
  set_tanh_16(c);
  return true;
}

bool logistic_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  if (c.in_dtype(0) != DType::kInt16) return looked_up<logistic_of>(c);
  set_logistic_16(c);
  return true;
}

// LiteRT's 16-bit form takes the levels that have no root as the largest result.
bool rsqrt_levels(OperatorContext& c) {
  if (!levels_out(c) || c.in_dtype(0) != DType::kInt16) return false;
  const float most = 32767 * output_levels(c).scale;
  set_by_lookup(c, [&](float x) { return x <= 0 ? most : 1.0F / std::sqrt(x); });
  return true;
}

// LiteRT cuts the root's level off where its tables round (SqrtEvalQuantized in elementwise.cc).
bool sqrt_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  set_by_table(c, [&](int32_t level) {
    const float value = x.scale * static_cast<float>(level - x.zero_point);
    const float root = std::sqrt(std::max(value, 0.0F)) / y.scale;
    return static_cast<int32_t>(std::min(root, 65536.0F)) + y.zero_point;
  });
  return true;
}

bool gelu_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  if (c.options<schema::GeluOptions>().approximate()) {
    set_by_lookup(c, [](float x) {
      return 0.5F * x * (1.0F + std::tanh(0.7978845608028654F * (x + 0.044715F * x * x * x)));
    });
  } else {
    set_by_lookup(c, [](float x) { return 0.5F * x * std::erfc(x * -0.7071067811865476F); });
  }
  return true;
}

bool log_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  const TensorLevels y = output_levels(c);
  const float least =
      static_cast<float>(level_limits(c.out_dtype(0)).first - y.zero_point) * y.scale;
  set_by_lookup(c, [&](float x) { return x <= 0 ? least : std::log(x); });
  return true;
}

// A clamp, with another scale.
template <int activation>
bool relu_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  const Multiplier m = make_multiplier(double{x.scale / y.scale});
  const AttrMap attrs = factor_attrs(c, {}, {}, activation);
  const auto low = static_cast<int32_t>(attrs.get<int64_t>("low"));
  const auto high = static_cast<int32_t>(attrs.get<int64_t>("high"));
  set_by_table(c, [&](int32_t level) {
    return clamped(y.zero_point + scaled(level - x.zero_point, m), low, high);
  });
  return true;
}

bool leaky_relu_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  const float alpha = c.options<schema::LeakyReluOptions>().alpha();
  // LiteRT's multipliers are of either sign; ours are not, so the sign stands apart.
  const double below = double{x.scale * alpha / y.scale};
  const Multiplier identity = make_multiplier(double{x.scale / y.scale});
  const Multiplier slope = make_multiplier(std::abs(below));
  set_by_table(c, [&](int32_t level) {
    const int32_t value = level - x.zero_point;
    if (value >= 0) return y.zero_point + scaled(value, identity);
    return y.zero_point + (below < 0 ? -scaled(value, slope) : scaled(value, slope));
  });
  return true;
}

bool abs_levels(OperatorContext& c) {
  if (!levels_out(c)) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  const Multiplier m = make_multiplier(double{x.scale / y.scale});
  set_by_table(c, [&](int32_t level) {
    const int32_t size = std::abs(level - x.zero_point);
    return y.zero_point + (x.scale == y.scale ? size : scaled(size, m));
  });
  return true;
}

int16_t high_half(int32_t a, int32_t b, bool round) {
  if (a == -32768 && b == -32768) return 32767;
  const int32_t product = a * b;
  const int32_t nudge = !round ? 0 : product >= 0 ? 1 << 14 : 1 - (1 << 14);
  return static_cast<int16_t>((product + nudge) / (1 << 15));
}

int32_t narrow_multiplier(int32_t value) {
  constexpr int32_t kHalf = 1 << 15;
  if (value >= std::numeric_limits<int32_t>::max() - kHalf) return 32767;
  return (value + kHalf) >> 16;
}

// tensorflow/lite/kernels/internal/reference/hard_swish.h, 16 bits throughout.
bool hard_swish_levels(OperatorContext& c) {
  if (!levels_out(c) || c.in_dtype(0) == DType::kInt16) return false;
  const TensorLevels x = input_levels(c, 0), y = output_levels(c);
  const float fine = (1.0F / 128.0F) * x.scale;
  const Multiplier out = make_multiplier(double{fine / y.scale});
  const Multiplier gate = make_multiplier(double{fine / (3.0F / 32768.0F)});
  if (out.shift > 0) return false;
  const int32_t out_factor = narrow_multiplier(out.value);
  const int32_t gate_factor = narrow_multiplier(gate.value);
  const auto shifted = [](int32_t value, int by) {
    return static_cast<int32_t>(
        std::clamp<int64_t>(int64_t{value} * (int64_t{1} << by), -32768, 32767));
  };
  set_by_table(c, [&](int32_t level) {
    const int32_t value = clamped((level - x.zero_point) * 128, -32768, 32767);
    const int32_t on_output = high_half(value, out_factor, true);
    int32_t part = value;
    if (gate.shift > 0) part = shifted(part, gate.shift - 1);
    part = high_half(part, gate_factor, true);
    if (gate.shift > 0) part = shifted(part, 1);
    if (gate.shift < 0) part = rounding_shift(part, -gate.shift);
    part = (part + (1 << 15)) >> 1;
    return rounding_shift(high_half(part, on_output, false), -out.shift) + y.zero_point;
  });
  return true;
}

// --- two arguments ---

bool both_levels(OperatorContext& c) {
  return c.num_inputs() == 2 && is_levels(c.in_info(0)) && is_levels(c.in_info(1)) &&
         c.in_dtype(0) == c.in_dtype(1);
}

bool brought_together(OperatorContext& c, const char* kind, int left_shift, int activation) {
  const TensorLevels a = input_levels(c, 0), b = input_levels(c, 1), y = output_levels(c);
  const double twice = double{2 * std::max(a.scale, b.scale)};
  const bool squared = std::string_view(kind) == "squared_difference";
  const double unit = static_cast<double>(int64_t{1} << left_shift);
  const double out =
      squared ? twice * twice / (unit * unit * double{y.scale}) : twice / (unit * double{y.scale});
  const Multiplier factors[] = {make_multiplier(double{a.scale} / twice),
                                make_multiplier(double{b.scale} / twice), make_multiplier(out)};
  const int32_t zero_points[] = {a.zero_point, b.zero_point, y.zero_point};
  AttrMap attrs = factor_attrs(c, factors, zero_points, activation);
  attrs.set("kind", std::string(kind));
  attrs.set("left_shift", int64_t{left_shift});
  c.set(0, c.b.op("_LiteAdd", {c.in(0), c.in(1)}, std::move(attrs)));
  return true;
}

bool add_levels(OperatorContext& c) {
  if (!both_levels(c) || !levels_out(c)) return false;
  return brought_together(c, "add", c.in_dtype(0) == DType::kInt16 ? 15 : 20,
                          c.options<schema::AddOptions>().fused_activation_function());
}

bool sub_levels(OperatorContext& c) {
  if (!both_levels(c) || !levels_out(c)) return false;
  return brought_together(c, "sub", c.in_dtype(0) == DType::kInt16 ? 15 : 20,
                          c.options<schema::SubOptions>().fused_activation_function());
}

bool squared_difference_levels(OperatorContext& c) {
  if (!both_levels(c) || !levels_out(c) || c.in_dtype(0) == DType::kInt16) return false;
  return brought_together(c, "squared_difference", 7, 0);
}

bool mul_levels(OperatorContext& c) {
  if (!both_levels(c) || !levels_out(c)) return false;
  const TensorLevels a = input_levels(c, 0), b = input_levels(c, 1), y = output_levels(c);
  const Multiplier factor[] = {make_multiplier(double{a.scale * b.scale / y.scale})};
  const int32_t zero_points[] = {a.zero_point, b.zero_point, y.zero_point};
  c.set(0, c.b.op("_LiteMul", {c.in(0), c.in(1)},
                  factor_attrs(c, factor, zero_points,
                               c.options<schema::MulOptions>().fused_activation_function())));
  return true;
}

// Below zero a product by the slopes, above it another scale: LiteRT has two multipliers (8 bits
// alone).
bool prelu_levels(OperatorContext& c) {
  if (!both_levels(c) || !levels_out(c) || c.in_dtype(0) == DType::kInt16) return false;
  const TensorLevels x = input_levels(c, 0), slope = input_levels(c, 1), y = output_levels(c);
  const Multiplier identity = make_multiplier(double{x.scale / y.scale});
  const Multiplier below[] = {make_multiplier(double{x.scale * slope.scale / y.scale})};
  const int32_t zero_points[] = {x.zero_point, slope.zero_point, y.zero_point};
  const Endpoint above = by_table(c, [&](int32_t level) {
    return y.zero_point + scaled(std::max(level - x.zero_point, 0), identity);
  });
  const Endpoint product =
      c.b.op("_LiteMul", {c.in(0), c.in(1)}, factor_attrs(c, below, zero_points, 0));
  const Endpoint zero = c.b.scalar_of(c.in_dtype(0), x.zero_point);
  c.set(0, c.b.op("SelectV2", {c.b.op("GreaterEqual", {c.in(0), zero}), above, product}));
  return true;
}

constexpr const char* kComparisons[] = {"equal",      "not_equal", "less",
                                        "less_equal", "greater",   "greater_equal"};

// 16 bits are compared as they are.
template <int kind>
bool compare_levels(OperatorContext& c) {
  if (!both_levels(c) || c.in_dtype(0) == DType::kInt16) return false;
  const TensorLevels a = input_levels(c, 0), b = input_levels(c, 1);
  const Multiplier by_a = make_multiplier(double{a.scale}), by_b = make_multiplier(double{b.scale});
  c.set(0, c.b.op("_LiteCompare", {c.in(0), c.in(1)},
                  {{"kind", std::string(kComparisons[kind])},
                   {"multipliers", std::vector<int64_t>{by_a.value, by_b.value}},
                   {"shifts", std::vector<int64_t>{by_a.shift, by_b.shift}},
                   {"zero_points", std::vector<int64_t>{a.zero_point, b.zero_point}}}));
  return true;
}

}  // namespace

TENON_LITE_QUANTIZED(ABS, abs_levels)
TENON_LITE_QUANTIZED(ADD, add_levels)
TENON_LITE_QUANTIZED(ELU, looked_up_8<elu_of>)
TENON_LITE_QUANTIZED(EQUAL, compare_levels<0>)
TENON_LITE_QUANTIZED(EXP, looked_up<exp_of>)
TENON_LITE_QUANTIZED(GELU, gelu_levels)
TENON_LITE_QUANTIZED(GREATER, compare_levels<4>)
TENON_LITE_QUANTIZED(GREATER_EQUAL, compare_levels<5>)
TENON_LITE_QUANTIZED(HARD_SWISH, hard_swish_levels)
TENON_LITE_QUANTIZED(LEAKY_RELU, leaky_relu_levels)
TENON_LITE_QUANTIZED(LESS, compare_levels<2>)
TENON_LITE_QUANTIZED(LESS_EQUAL, compare_levels<3>)
TENON_LITE_QUANTIZED(LOG, log_levels)
TENON_LITE_QUANTIZED(LOGISTIC, logistic_levels)
TENON_LITE_QUANTIZED(MUL, mul_levels)
TENON_LITE_QUANTIZED(NOT_EQUAL, compare_levels<1>)
TENON_LITE_QUANTIZED(PRELU, prelu_levels)
TENON_LITE_QUANTIZED(RELU, relu_levels<1>)
TENON_LITE_QUANTIZED(RELU6, relu_levels<3>)
TENON_LITE_QUANTIZED(RELU_N1_TO_1, relu_levels<2>)
TENON_LITE_QUANTIZED(RSQRT, rsqrt_levels)
TENON_LITE_QUANTIZED(SQRT, sqrt_levels)
TENON_LITE_QUANTIZED(SQUARED_DIFFERENCE, squared_difference_levels)
TENON_LITE_QUANTIZED(SUB, sub_levels)
TENON_LITE_QUANTIZED(TANH, tanh_levels)

}  // namespace tenon::lite
