// QuantizeV2 and Dequantize: numbers to quantised types and back, over the whole tensor or for each
// slice along an axis. tensorflow/core/kernels/quantize_op.cc, dequantize_op.cc.
#include "tenon/base/parallel.h"
#include "tenon/ops/quantize/quantized.h"

namespace tenon {
namespace {

enum class QuantizeMode : uint8_t { kMinCombined, kMinFirst, kScaled };

QuantizeMode quantize_mode(const AttrMap& attrs) {
  const auto& mode = attrs.get<std::string>("mode");
  return mode == "MIN_COMBINED" ? QuantizeMode::kMinCombined
         : mode == "MIN_FIRST"  ? QuantizeMode::kMinFirst
                                : QuantizeMode::kScaled;
}

// Limits are one number, or one for each slice along the axis.
Status check_slices(const ShapeContext& c) {
  const auto axis = c.attr<int64_t>("axis");
  const PartialShape& x = c.input(0);
  if (axis < -1) return invalid_argument("axis must be at least -1, got ", axis);
  if (axis >= 0 && x.has_rank() && axis >= x.rank()) {
    return invalid_argument("axis must be less than the rank of the input: ", axis, " and ", x);
  }
  if (axis == -1) return expect_single_limits(c, 1, 2);
  for (int i = 1; i < 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t slices = x.has_rank() ? x[static_cast<int>(axis)] : -1;
    if (slices >= 0 && c.input(i).has_rank() && c.input(i)[0] >= 0 && c.input(i)[0] != slices) {
      return invalid_argument("there are ", c.input(i)[0], " limits for ", slices, " slices");
    }
  }
  return absl::OkStatus();
}

Status quantize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_slices(c));
  if (quantize_mode(c.attrs()) != QuantizeMode::kScaled &&
      c.attr<std::string>("round_mode") == "HALF_TO_EVEN") {
    return invalid_argument("Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED'");
  }
  if (quantize_mode(c.attrs()) == QuantizeMode::kMinFirst && c.attr<int64_t>("axis") != -1) {
    return unimplemented("MIN_FIRST mode is not implemented for Quantize with axis != -1.");
  }
  const PartialShape limits =
      c.attr<int64_t>("axis") == -1
          ? PartialShape(Shape())
          : PartialShape{
                c.input(0).has_rank() ? c.input(0)[static_cast<int>(c.attr<int64_t>("axis"))] : -1};
  c.set_output(0, c.input(0));
  c.set_output(1, limits);
  c.set_output(2, limits);
  return absl::OkStatus();
}

Status dequantize_shape(ShapeContext& c) {
  if (c.attr<DType>("dtype") == DType::kBfloat16 &&
      quantize_mode(c.attrs()) != QuantizeMode::kMinCombined) {
    return invalid_argument("When output type is bfloat16, mode must be MIN_COMBINED");
  }
  TENON_RETURN_IF_ERROR(check_slices(c));
  if (quantize_mode(c.attrs()) == QuantizeMode::kMinFirst && c.attr<int64_t>("axis") != -1) {
    return unimplemented("MIN_FIRST mode is not implemented for Dequantize with axis != -1.");
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// How a tensor falls into slices that are quantised alike.
struct QuantizedSlices {
  int64_t outer = 1, count = 1, inner = 1;
  QuantizedSlices(const Shape& shape, int64_t axis) {
    inner = shape.num_elements();
    if (axis < 0) return;
    const int at = static_cast<int>(axis);
    outer = shape.product(0, at);
    count = shape[at];
    inner = shape.product(at + 1, shape.rank());
  }
};

// body(slice, begin, count) for each run of elements of one slice.
template <class Body>
void for_each_slice(const QuantizedSlices& s, const Body& body) {
  if (s.count == 1 && s.outer == 1) {
    parallel_for(s.inner, 4096,
                 [&](int64_t begin, int64_t end) { body(int64_t{0}, begin, end - begin); });
    return;
  }
  if (s.inner == 0) return;
  parallel_for(s.outer * s.count, std::max<int64_t>(1, 4096 / s.inner),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) body(i % s.count, i * s.inner, s.inner);
               });
}

// One slice's step from numbers to levels; `limits` become those that the levels stand for.
template <class T>
struct SliceQuantizer {
  QuantizeMode mode;
  bool to_even;
  float min, max, scale = 1;

  SliceQuantizer(QuantizeMode mode, bool to_even, bool narrow, float minimum_range, float low,
                 float high)
      : mode(mode), to_even(to_even) {
    min = std::min(0.0F, low);
    const float epsilon = std::max(1.0F, std::max(std::abs(low), std::abs(high))) * minimum_range;
    max = std::max(0.0F, std::max(high, min + epsilon));
    if (mode == QuantizeMode::kMinCombined) {
      scale = static_cast<float>(kQuantizedSteps<T> - 1) / (max - min);
    } else if (mode == QuantizeMode::kScaled) {
      const auto lowest = static_cast<float>(kLowestQuantized<T> + (narrow ? 1 : 0));
      const auto highest = static_cast<float>(kHighestQuantized<T>);
      constexpr float kFree = std::numeric_limits<float>::max();
      scale = std::min(lowest * min > 0 ? lowest / min : kFree,
                       highest * max > 0 ? highest / max : kFree);
      min = lowest / scale;
      max = highest / scale;
    }
  }
  T operator()(float x) const {
    const float held = std::max(std::min(x, max), min);
    if (mode == QuantizeMode::kMinCombined) {
      const float level = (held - min) * scale;
      if constexpr (std::is_signed_v<T>) {
        return to_level(std::round(level - static_cast<float>(kQuantizedSteps<T> / 2)));
      }
      return to_level(std::floor(level + 0.5F));
    }
    return to_level(to_even ? std::nearbyint(held * scale) : std::round(held * scale));
  }
  static T to_level(float level) {
    // A float above int32's becomes the lowest level: what x86's conversion gives TensorFlow.
    if (sizeof(T) == 4 && level >= 0x1p31F) return std::numeric_limits<T>::lowest();
    return static_cast<T>(std::clamp(to_int64(static_cast<double>(level)),
                                     static_cast<int64_t>(kLowestQuantized<T>),
                                     static_cast<int64_t>(kHighestQuantized<T>)));
  }
};

StatusOr<Kernel> make_quantize(Prepare& p) {
  const QuantizeMode mode = quantize_mode(p.attrs());
  const bool to_even = p.attr<std::string>("round_mode") == "HALF_TO_EVEN";
  const bool narrow = p.attr<bool>("narrow_range");
  const auto minimum_range = p.attr<float>("ensure_minimum_range");
  const QuantizedSlices slices(p.input_shape(0), p.attr<int64_t>("axis"));
  Kernel kernel;
  visit_quantized(p.output_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      std::vector<SliceQuantizer<T>> of_slice;
      for (int64_t i = 0; i < slices.count; ++i) {
        const float low = r.in<float>(1)[i], high = r.in<float>(2)[i];
        if (low > high) return invalid_argument("max_range must be larger than min_range.");
        of_slice.emplace_back(mode, to_even, narrow, minimum_range, low, high);
        r.out<float>(1)[i] = of_slice.back().min;
        r.out<float>(2)[i] = of_slice.back().max;
      }
      for_each_slice(slices, [&](int64_t slice, int64_t begin, int64_t count) {
        const SliceQuantizer<T>& quantizer = of_slice[static_cast<size_t>(slice)];
        const float* x = r.in<float>(0) + begin;
        T* y = r.out<T>(0) + begin;
        if (mode == QuantizeMode::kMinFirst) {
          std::transform(x, x + count, y, Quantizer<T>(quantizer.min, quantizer.max));
        } else {
          std::transform(x, x + count, y, quantizer);
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// y = (x + shift) * scale + least.
struct SliceDequantizer {
  float shift = 0, scale = 1, least = 0;
  float operator()(float x) const { return (x + shift) * scale + least; }
};

template <class T>
SliceDequantizer slice_dequantizer(QuantizeMode mode, bool narrow, float min, float max) {
  SliceDequantizer d;
  if (mode == QuantizeMode::kMinCombined) {
    d.shift = std::is_signed_v<T> ? static_cast<float>(kQuantizedSteps<T> / 2) : 0.0F;
    d.scale = static_cast<float>((max - min) / (kQuantizedSteps<T> - 1));
    d.least = min;
    return d;
  }
  const auto lowest = static_cast<float>(kLowestQuantized<T> + (narrow ? 1 : 0));
  const auto highest = static_cast<float>(kHighestQuantized<T>);
  d.scale = std::is_signed_v<T> ? std::max(min / lowest, max / highest) : max / highest;
  return d;
}

StatusOr<Kernel> make_dequantize(Prepare& p) {
  const QuantizeMode mode = quantize_mode(p.attrs());
  const bool narrow = p.attr<bool>("narrow_range");
  const QuantizedSlices slices(p.input_shape(0), p.attr<int64_t>("axis"));
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class T>() {
    visit<TypeList<float, bfloat16>>(p.output_dtype(0), [&]<class Y>() {
      kernel = [=](KernelRun& r) {
        for_each_slice(slices, [&](int64_t slice, int64_t begin, int64_t count) {
          const float min = r.in<float>(1)[slice], max = r.in<float>(2)[slice];
          const T* x = r.in<T>(0) + begin;
          Y* y = r.out<Y>(0) + begin;
          if (mode == QuantizeMode::kMinFirst) {
            const Dequantizer<T> d(min, max);
            std::transform(x, x + count, y, [&](T v) { return static_cast<Y>(d(v)); });
          } else {
            const SliceDequantizer d = slice_dequantizer<T>(mode, narrow, min, max);
            std::transform(x, x + count, y,
                           [&](T v) { return static_cast<Y>(d(static_cast<float>(v))); });
          }
        });
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

}  // namespace

TENON_OP(QuantizeV2) = {
    .inputs = "input: float, min_range: float, max_range: float",
    .outputs = "output: T, output_min: float, output_max: float",
    .attrs =
        "T: {qint8, quint8, qint32, qint16, quint16}; mode: {'MIN_COMBINED', 'MIN_FIRST', "
        "'SCALED'} = 'MIN_COMBINED'; round_mode: {'HALF_AWAY_FROM_ZERO', "
        "'HALF_TO_EVEN'} = 'HALF_AWAY_FROM_ZERO'; narrow_range: bool = false; axis: int = -1; "
        "ensure_minimum_range: float = 0.01",
    .shape = quantize_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantize},
};

TENON_OP(Dequantize) = {
    .inputs = "input: T, min_range: float, max_range: float",
    .outputs = "output: dtype",
    .attrs =
        "T: {qint8, quint8, qint32, qint16, quint16}; mode: {'MIN_COMBINED', 'MIN_FIRST', "
        "'SCALED'} = 'MIN_COMBINED'; narrow_range: bool = false; axis: int = -1; "
        "dtype: {bfloat16, float} = float",
    .shape = dequantize_shape,
    .gradient = not_differentiable,
    .kernels = {make_dequantize},
};

}  // namespace tenon
