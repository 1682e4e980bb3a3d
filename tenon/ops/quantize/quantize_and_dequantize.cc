// QuantizeAndDequantize, V2, V3, V4 and V4's gradient op: numbers rounded to what some bits can
// hold. tensorflow/core/kernels/quantize_and_dequantize_op.h.
#include "tenon/graph/gradient.h"
#include "tenon/ops/quantize/quantized.h"

namespace tenon {
namespace {

struct RoundingForm {
  bool is_signed = true, given = false, narrow = false, up = false;
  int64_t axis = -1;
  explicit RoundingForm(const AttrMap& attrs)
      : is_signed(attrs.get<bool>("signed_input")),
        given(attrs.get<bool>("range_given")),
        narrow(attrs.get_or<bool>("narrow_range", false)),
        up(attrs.get_or<std::string>("round_mode", "") == "HALF_UP"),
        axis(attrs.get_or<int64_t>("axis", -1)) {}
};

Status check_bits(int64_t bits, bool is_signed) {
  if (bits > 0 && bits < (is_signed ? 62 : 63)) return absl::OkStatus();
  return invalid_argument("num_bits is out of range: ", bits, " with signed_input ", is_signed);
}

// Limits are a scalar or one for each slice along the axis. `first`: the quantised input.
Status check_rounding_limits(const ShapeContext& c, int first, int64_t axis) {
  const PartialShape& x = c.input(first);
  if (axis < -1) return invalid_argument("Axis must be at least -1. Found ", axis);
  if (axis >= 0 && x.has_rank() && axis >= x.rank()) {
    return invalid_argument("Axis should be -1 or 0 or a positive value less than ", x.rank(),
                            " but given axis value was ", axis);
  }
  for (int i = first + 1; i < first + 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, axis < 0 ? 0 : 1));
    const int64_t slices = axis >= 0 && x.has_rank() ? x[static_cast<int>(axis)] : -1;
    if (slices >= 0 && c.input(i).has_rank() && c.input(i)[0] >= 0 && c.input(i)[0] != slices) {
      return invalid_argument("input_min_tensor has incorrect size, was ", c.input(i)[0],
                              " expected ", slices);
    }
  }
  return absl::OkStatus();
}

Status rounding_shape(ShapeContext& c) {
  const RoundingForm form(c.attrs());
  if (c.num_inputs() > 1) TENON_RETURN_IF_ERROR(check_rounding_limits(c, 0, form.axis));
  if (c.num_inputs() > 3) {
    TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  } else {
    TENON_RETURN_IF_ERROR(check_bits(c.attr<int64_t>("num_bits"), form.is_signed));
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// What values are rounded to multiples of.
template <class T>
struct RoundingScale {
  T scale, inverse, min, max;
  RoundingScale(const RoundingForm& form, int64_t bits, T low, T high) : min(low), max(high) {
    const int64_t half = int64_t{1} << (bits - 1);
    const auto lowest = static_cast<T>(!form.is_signed ? 0 : form.narrow ? 1 - half : -half);
    const auto highest = static_cast<T>(form.is_signed ? half - 1 : half - 1 + half);
    constexpr T kFree = std::numeric_limits<T>::max();
    const T from_min = lowest * min > 0 ? lowest / min : kFree;
    const T from_max = highest * max > 0 ? highest / max : kFree;
    if (from_min < from_max) {
      scale = from_min;
      inverse = min / lowest;
      max = highest * inverse;
    } else {
      scale = from_max;
      inverse = max / highest;
      min = lowest * inverse;
    }
  }
  T operator()(const RoundingForm& form, T x) const {
    if (form.given) x = std::max(std::min(x, max), min);
    const T level = x * scale;
    return (form.up ? std::floor(level + T(0.5)) : std::nearbyint(level)) * inverse;
  }
};

// The limits of slice `slice`: given, or the least and the largest of its values.
template <class T, class Wide>
StatusOr<std::pair<Wide, Wide>> limits_of_slice(const KernelRun& r, const RoundingForm& form,
                                                std::pair<Wide, Wide> attrs, int64_t slice,
                                                int64_t outer, int64_t count, int64_t inner) {
  if (form.given) {
    std::pair<Wide, Wide> limits = attrs;
    if (r.num_inputs() > 1) {
      limits = {static_cast<Wide>(r.in<T>(1)[slice]), static_cast<Wide>(r.in<T>(2)[slice])};
    }
    if (limits.first > limits.second) {
      return invalid_argument("Invalid range: input_min ", static_cast<double>(limits.first),
                              " > input_max ", static_cast<double>(limits.second));
    }
    return limits;
  }
  Wide low = std::numeric_limits<Wide>::infinity(), high = -low;
  for (int64_t o = 0; o < outer; ++o) {
    const T* x = r.in<T>(0) + (o * count + slice) * inner;
    for (int64_t i = 0; i < inner; ++i) {
      low = std::min(low, static_cast<Wide>(x[i]));
      high = std::max(high, static_cast<Wide>(x[i]));
    }
  }
  return std::pair{low, high};
}

StatusOr<Kernel> make_rounding(Prepare& p) {
  const RoundingForm form(p.attrs());
  const Shape& x = p.input_shape(0);
  const int axis = static_cast<int>(form.axis);
  const int64_t outer = axis < 0 ? 1 : x.product(0, axis), count = axis < 0 ? 1 : x[axis];
  const int64_t inner = axis < 0 ? x.num_elements() : x.product(axis + 1, x.rank());
  const std::pair<float, float> attrs{p.attrs().get_or<float>("input_min", 0),
                                      p.attrs().get_or<float>("input_max", 0)};
  const int64_t fixed_bits = p.attrs().get_or<int64_t>("num_bits", 0);
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    kernel = [=](KernelRun& r) -> Status {
      const int64_t bits = r.num_inputs() > 3 ? int64_t{*r.in<int32_t>(3)} : fixed_bits;
      TENON_RETURN_IF_ERROR(check_bits(bits, form.is_signed));
      for (int64_t slice = 0; slice < count; ++slice) {
        TENON_ASSIGN_OR_RETURN(const auto limits, (limits_of_slice<T, Wide>(r, form, attrs, slice,
                                                                            outer, count, inner)));
        const RoundingScale<Wide> scale(form, bits, limits.first, limits.second);
        for (int64_t o = 0; o < outer; ++o) {
          const int64_t begin = (o * count + slice) * inner;
          const T* from = r.in<T>(0) + begin;
          std::transform(from, from + inner, r.out<T>(0) + begin,
                         [&](T v) { return static_cast<T>(scale(form, static_cast<Wide>(v))); });
        }
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status rounding_gradient(Gradient& g) {
  g.set_dx(0, g.dy());
  return absl::OkStatus();
}
Status rounding_v4_gradient(Gradient& g) {
  const std::vector<Endpoint> dx =
      g.build().ops("QuantizeAndDequantizeV4Grad", {g.dy(), g.input(0), g.input(1), g.input(2)},
                    {{"axis", g.attr<int64_t>("axis")}});
  for (size_t i = 0; i < dx.size(); ++i) g.set_dx(static_cast<int>(i), dx[i]);
  return absl::OkStatus();
}

Status rounding_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_rounding_limits(c, 1, c.attr<int64_t>("axis")));
  TENON_ASSIGN_OR_RETURN(PartialShape dx, PartialShape::merge(c.input(0), c.input(1)));
  c.set_output(0, std::move(dx));
  c.set_output(1, c.input(2));
  c.set_output(2, c.input(3));
  return absl::OkStatus();
}

// Inputs: dy, x, limits. Nothing flows where x lies outside.
StatusOr<Kernel> make_rounding_grad(Prepare& p) {
  const Shape& x = p.input_shape(1);
  const int axis = static_cast<int>(p.attr<int64_t>("axis"));
  const int64_t count = axis < 0 ? 1 : x[axis];
  const int64_t inner = axis < 0 ? x.num_elements() : x.product(axis + 1, x.rank());
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=, total = x.num_elements()](KernelRun& r) {
      for (int64_t i = 0; i < total; ++i) {
        const int64_t slice = i / inner % count;
        const T v = r.in<T>(1)[i];
        const bool held = v >= r.in<T>(2)[slice] && v <= r.in<T>(3)[slice];
        r.out<T>(0)[i] = held ? r.in<T>(0)[i] : T(0);
      }
      for (int i = 1; i < 3; ++i) std::fill_n(r.out<T>(i), r.output(i).num_elements(), T(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(QuantizeAndDequantize) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs =
        "signed_input: bool = true; num_bits: int = 8; range_given: bool = false; "
        "input_min: float = 0; input_max: float = 0; T: {floating}",
    .shape = rounding_shape,
    .gradient = rounding_gradient,
    .kernels = {make_rounding},
};
TENON_OP(QuantizeAndDequantizeV2) = {
    .inputs = "input: T, input_min: T, input_max: T",
    .outputs = "output: T",
    .attrs =
        "signed_input: bool = true; num_bits: int = 8; range_given: bool = false; "
        "T: {floating}; round_mode: {'HALF_TO_EVEN', 'HALF_UP'} = 'HALF_TO_EVEN'; "
        "narrow_range: bool = false; axis: int = -1",
    .shape = rounding_shape,
    .gradient = rounding_gradient,
    .kernels = {make_rounding},
};
TENON_OP(QuantizeAndDequantizeV3) = {
    .inputs = "input: T, input_min: T, input_max: T, num_bits: int32",
    .outputs = "output: T",
    .attrs =
        "signed_input: bool = true; range_given: bool = true; T: {floating}; "
        "narrow_range: bool = false; axis: int = -1",
    .shape = rounding_shape,
    .gradient = rounding_gradient,
    .kernels = {make_rounding},
};
TENON_OP(QuantizeAndDequantizeV4) = {
    .inputs = "input: T, input_min: T, input_max: T",
    .outputs = "output: T",
    .attrs =
        "signed_input: bool = true; num_bits: int = 8; range_given: bool = false; "
        "T: {floating}; round_mode: {'HALF_TO_EVEN', 'HALF_UP'} = 'HALF_TO_EVEN'; "
        "narrow_range: bool = false; axis: int = -1",
    .shape = rounding_shape,
    .gradient = rounding_v4_gradient,
    .kernels = {make_rounding},
};
TENON_OP(QuantizeAndDequantizeV4Grad) = {
    .inputs = "gradients: T, input: T, input_min: T, input_max: T",
    .outputs = "input_backprop: T, input_min_backprop: T, input_max_backprop: T",
    .attrs = "T: {floating}; axis: int = -1",
    .shape = rounding_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_rounding_grad},
};

}  // namespace tenon
