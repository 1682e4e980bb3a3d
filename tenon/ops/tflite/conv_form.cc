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
                 kernels::LevelConvSpec& spec, int64_t (&output)[2]) {
  TENON_ASSIGN_OR_RETURN(const auto stride, pair_of(attrs, "strides"));
  TENON_ASSIGN_OR_RETURN(const auto dilation, pair_of(attrs, "dilations"));
  spec.stride[0] = stride.first;
  spec.stride[1] = stride.second;
  spec.dilation[0] = dilation.first;
  spec.dilation[1] = dilation.second;
  for (int i = 0; i < 2; ++i) {
    output[i] = -1;
    if (!x.has_rank() || !w.has_rank() || x[i + 1] < 0 || w[i + 1] < 0) continue;
    TENON_ASSIGN_OR_RETURN(const Window window,
                           window_output(x[i + 1], w[i + 1], spec.dilation[i], spec.stride[i],
                                         attrs.get<std::string>("padding")));
    output[i] = window.output;
    spec.before[i] = window.before;
  }
  return absl::OkStatus();
}

Status set_levels(const Prepare& p, kernels::LevelConvSpec& spec) {
  spec.x = p.input_dtype(0);
  spec.w = p.input_dtype(1);
  spec.bias = p.input_dtype(2);
  const bool bytes = (spec.x == DType::kInt8 || spec.x == DType::kUint8) && spec.w == spec.x &&
                     spec.bias == DType::kInt32;
  if (!bytes && (spec.x != DType::kInt16 || spec.w != DType::kInt8)) {
    return unimplemented("activations of ", spec.x, ", weights of ", spec.w, " and a bias of ",
                         spec.bias);
  }
  for (const Multiplier& m : multipliers_of(p.attrs())) {
    spec.multipliers.push_back(m.value);
    spec.shifts.push_back(m.shift);
  }
  const auto zero = zero_points_of(p.attrs());
  spec.zero_x = zero[0];
  spec.zero_w = zero[1];
  spec.zero_y = zero[2];
  const LevelRange range = range_of(p.attrs(), p.output_dtype(0));
  spec.low = range.low;
  spec.high = range.high;
  return absl::OkStatus();
}

StatusOr<Kernel> make_level_conv(Prepare& p, const kernels::LevelConvSpec& spec) {
  auto conv = std::make_shared<const kernels::LevelConv>(spec);
  Ref<Buffer> packed;
  if (p.frozen(1)) {
    const auto pack = [&](const Tensor& filter) -> StatusOr<Ref<Buffer>> {
      Ref<Buffer> buffer = Buffer::host(conv->packed_bytes());
      if (!buffer) {
        return resource_exhausted("no memory to pack a filter of shape ", filter.shape());
      }
      conv->pack(filter.raw(), buffer->data());
      return buffer;
    };
    TENON_ASSIGN_OR_RETURN(packed, p.packed(1, conv->packed_name(), pack));
  }
  const size_t own = packed ? 0 : (conv->packed_bytes() + 63) / 64 * 64;
  p.reserve_scratch(own + conv->scratch_bytes());
  return Kernel([conv, packed, own](KernelRun& r) {
    char* const scratch = r.scratch<char>();
    if (!packed) conv->pack(r.input(1).raw(), scratch);
    conv->run(r.input(0).raw(), packed ? packed->data() : scratch, r.input(2).raw(),
              r.output(0).mutable_raw(), scratch + own);
    return absl::OkStatus();
  });
}

}  // namespace tenon::lite
