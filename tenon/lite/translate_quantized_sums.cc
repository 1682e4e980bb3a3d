// Operators on levels as sums of 32-bit products, which are then brought to the output's levels.
#include "tenon/lite/quantized.h"
#include "tenon/lite/svdf.h"
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

// Levels as 32 bits, less their zero point.
Endpoint centred(OperatorContext& c, int i, int32_t zero_point) {
  const Endpoint wide = c.b.cast(c.in(i), DType::kInt32);
  return zero_point == 0 ? wide : c.b.sub(wide, c.b.scalar<int32_t>(zero_point));
}

AttrMap rescaling(double factor, int32_t zero_point, DType dtype) {
  const Multiplier m = make_multiplier(factor);
  const auto [low, high] = level_limits(dtype);
  return {{"multipliers", std::vector<int64_t>{m.value}},
          {"shifts", std::vector<int64_t>{m.shift}},
          {"zero_points", std::vector<int64_t>{0, zero_point}},
          {"low", int64_t{low}},
          {"high", int64_t{high}},
          {"U", dtype}};
}

// The result's scale is the product of the operands', in floats, as in LiteRT.
bool batch_matmul_levels(OperatorContext& c) {
  const TensorInfo& y = c.out_info(0);
  if (y.dtype != DType::kInt8 || c.in_dtype(0) != DType::kInt8 || c.in_dtype(1) != DType::kInt8) {
    return false;
  }
  const auto& o = c.options<schema::BatchMatMulOptions>();
  const TensorLevels a = input_levels(c, 0), b = input_levels(c, 1), to = output_levels(c);
  const Endpoint sums =
      c.b.op("BatchMatMulV2", {centred(c, 0, a.zero_point), centred(c, 1, b.zero_point)},
             {{"adj_x", o.adj_x()}, {"adj_y", o.adj_y()}});
  c.set(0, c.b.op("_LiteRequantize", {sums},
                  rescaling(double{a.scale * b.scale} / double{to.scale}, to.zero_point, y.dtype)));
  return true;
}

// Features in 16 bits, kept in a variable; sums over time in 32.
bool svdf_levels(OperatorContext& c) {
  if (c.num_inputs() < 5 || c.in_dtype(0) != DType::kInt8 || c.in_dtype(1) != DType::kInt8 ||
      c.in_dtype(2) != DType::kInt16 || c.in_dtype(4) != DType::kInt16 ||
      c.out_dtype(0) != DType::kInt8) {
    return false;
  }
  const SvdfForm form = svdf_form(c);
  const TensorLevels x = input_levels(c, 0), features = input_levels(c, 1),
                     time = input_levels(c, 2), state = input_levels(c, 4), y = output_levels(c);
  const Endpoint products = c.b.matmul(centred(c, 0, x.zero_point), centred(c, 1, 0), false, true);
  const double into_state = double{x.scale * features.scale} / double{state.scale};
  const Endpoint now =
      c.b.op("_LiteRequantize", {products}, rescaling(into_state, 0, DType::kInt16));
  const Endpoint kept = svdf_remember(c, form, now);
  Endpoint sums = svdf_sum(c, form, c.b.mul(c.b.cast(kept, DType::kInt32), centred(c, 2, 0)));
  if (c.has_input(3)) sums = c.b.add(sums, c.in(3));
  c.set(0, c.b.op("_LiteRequantize", {sums},
                  rescaling(double{state.scale * time.scale} / double{y.scale}, y.zero_point,
                            DType::kInt8)));
  return true;
}

}  // namespace

TENON_LITE_QUANTIZED(BATCH_MATMUL, batch_matmul_levels)
TENON_LITE_QUANTIZED(SVDF, svdf_levels)

}  // namespace tenon::lite
