// The vocabulary of translations of quantised operators: scales, ranges, factors, tables.
#pragma once

#include "tenon/lite/operator_context.h"
#include "tenon/ops/tflite/fixed_point.h"

namespace tenon::lite {

// 8 or 16 bits with scales: what LiteRT's integer kernels compute with.
bool is_levels(const TensorInfo& info);

// The one scale and zero point of a tensor. INVALID_ARGUMENT sticks where it has several or none.
struct TensorLevels {
  float scale = 1;
  int32_t zero_point = 0;
};
TensorLevels input_levels(OperatorContext& c, int i);
TensorLevels output_levels(OperatorContext& c, int i = 0);

// The lowest and highest level of `dtype`.
std::pair<int32_t, int32_t> level_limits(DType dtype);

// The attributes multipliers, shifts, zero_points, and low and high: the output's range after the
// fused activation.
AttrMap factor_attrs(OperatorContext& c, std::span<const Multiplier> multipliers,
                     std::span<const int32_t> zero_points, int activation);

// A function of input 0's levels as a table of all values; `f` gives a level, which is brought
// within the limits of the output's dtype. set_by_table() makes it output 0.
Endpoint by_table(OperatorContext& c, const std::function<int32_t(int32_t level)>& f);
void set_by_table(OperatorContext& c, const std::function<int32_t(int32_t level)>& f);

// As set_by_table(), of a function of reals: what LiteRT's lookup tables hold (16 bits:
// interpolated between 513 points).
void set_by_lookup(OperatorContext& c, const std::function<float(float)>& f);

Endpoint dequantized(GraphBuilder& b, Endpoint value, const Quantization& quantization);
Endpoint quantized(GraphBuilder& b, Endpoint value, DType dtype, const Quantization& quantization);

}  // namespace tenon::lite
