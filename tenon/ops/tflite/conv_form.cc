#include "tenon/ops/tflite/conv_form.h"

namespace tenon::lite {

Status check_conv(const ShapeContext& c, int64_t out) {
  TENON_RETURN_IF_ERROR(check_factors(c.attrs(), kAnyNumber, 3));
  const size_t factors = c.attr<std::vector<int64_t>>("multipliers").size();
  if (factors != 1 && out >= 0 && static_cast<int64_t>(factors) != out) {
    return invalid_argument("there are ", factors, " factors for ", out, " channels");
  }
  // Sums of products rely on it.
  for (int i = 0; i < 2; ++i) {
    const DType dtype = c.input_dtype(i);
    const int64_t zero = c.attr<std::vector<int64_t>>("zero_points")[static_cast<size_t>(i)];
    const int64_t low = dtype == DType::kUint8 ? 0 : dtype == DType::kInt8 ? -128 : -32768;
    const int64_t high = dtype == DType::kUint8 ? 255 : dtype == DType::kInt8 ? 127 : 32767;
    if (zero < low || zero > high) {
      return invalid_argument("input ", i, " of ", dtype, " has the zero point ", zero);
    }
  }
  return absl::OkStatus();
}

Status check_filter_size(const PartialShape& w) {
  int64_t size = 1;
  for (int axis = 1; w.has_rank() && axis < w.rank(); ++axis) {
    TENON_ASSIGN_OR_RETURN(size, multiply_dims(size, w[axis]));
  }
  return absl::OkStatus();
}

Status check_bias(const ShapeContext& c, int64_t out) {
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  const PartialShape& bias = c.input(2);
  if (bias.has_rank() && out >= 0 && bias[0] >= 0 && bias[0] != out) {
    return invalid_argument("a bias of ", bias[0], " for ", out, " channels");
  }
  return absl::OkStatus();
}

StatusOr<std::pair<int64_t, int64_t>> pair_of(const AttrMap& attrs, std::string_view name) {
  const auto& values = attrs.get<std::vector<int64_t>>(name);
  if (values.size() != 2 || values[0] < 1 || values[1] < 1 || values[0] > INT32_MAX ||
      values[1] > INT32_MAX) {
    return invalid_argument(name, " must be two positive numbers");
  }
  return std::pair(values[0], values[1]);
}

Status window_of(const AttrMap& attrs, const PartialShape& x, const PartialShape& w,
                 LiteConvForm& form, int64_t (&output)[2]) {
  TENON_ASSIGN_OR_RETURN(const auto stride, pair_of(attrs, "strides"));
  TENON_ASSIGN_OR_RETURN(const auto dilation, pair_of(attrs, "dilations"));
  form.stride[0] = stride.first;
  form.stride[1] = stride.second;
  form.dilation[0] = dilation.first;
  form.dilation[1] = dilation.second;
  for (int i = 0; i < 2; ++i) {
    output[i] = -1;
    if (!x.has_rank() || !w.has_rank() || x[i + 1] < 0 || w[i + 1] < 0) continue;
    TENON_ASSIGN_OR_RETURN(const Window window,
                           window_output(x[i + 1], w[i + 1], form.dilation[i], form.stride[i],
                                         attrs.get<std::string>("padding")));
    output[i] = window.output;
    form.before[i] = window.before;
  }
  return absl::OkStatus();
}

void set_factors(const Prepare& p, LiteConvForm& form) {
  form.factors = multipliers_of(p.attrs());
  const auto zero = zero_points_of(p.attrs());
  form.zero_x = zero[0];
  form.zero_w = zero[1];
  form.zero_y = zero[2];
  form.range = range_of(p.attrs(), p.output_dtype(0));
}

}  // namespace tenon::lite
