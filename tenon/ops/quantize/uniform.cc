// UniformQuantize, UniformDequantize, UniformRequantize, UniformQuantizedAdd,
// UniformQuantizedClipByValue, UniformQuantizedDot, UniformQuantizedDotHybrid: levels of a scale
// and a zero point, one for the whole tensor or one for each slice along an axis.
// tensorflow/core/util/quantization/uniform_quant_ops_params.h, tensorflow/core/kernels/
// uniform_quant_ops/math_utils.h.
#include "tenon/base/parallel.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/ops/quantize/quantized.h"

namespace tenon {
namespace {

// The attributes <prefix>quantization_axis, _min_val and _max_val of one tensor.
struct UniformRange {
  int64_t axis = -1, low = 0, high = 0;
  UniformRange(const AttrMap& attrs, std::string_view prefix)
      : axis(attrs.get<int64_t>(cat(prefix, "quantization_axis"))),
        low(attrs.get<int64_t>(cat(prefix, "quantization_min_val"))),
        high(attrs.get<int64_t>(cat(prefix, "quantization_max_val"))) {}
};

// Scales and zero points are inputs `first` and `first` + 1, of the tensor `x`.
Status check_uniform(const ShapeContext& c, const PartialShape& x, const UniformRange& range,
                     int first) {
  if (range.axis < -1 || (range.axis >= 0 && x.has_rank() && range.axis >= x.rank())) {
    return invalid_argument("quantization_axis must be >= -1 and < input.dims(), it is ",
                            range.axis, " for ", x);
  }
  for (int i = first; i < first + 2; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, range.axis < 0 ? 0 : 1));
    const int64_t size = range.axis >= 0 && x.has_rank() ? x[static_cast<int>(range.axis)] : -1;
    if (size >= 0 && c.input(i).has_rank() && c.input(i)[0] >= 0 && c.input(i)[0] != size) {
      return invalid_argument("dimension ", range.axis, " of the input has ", size,
                              " slices, scales or zero points ", c.input(i)[0]);
    }
  }
  return absl::OkStatus();
}

// The slice that element `i` belongs to.
struct UniformSlices {
  int64_t count = 1, inner = 1;
  UniformSlices(const Shape& x, int64_t axis) {
    if (axis < 0) return;
    count = x[static_cast<int>(axis)];
    inner = x.product(static_cast<int>(axis) + 1, x.rank());
  }
  int64_t of(int64_t i) const { return count == 1 ? 0 : i / inner % count; }
};

Status check_scales(const KernelRun& r, int input) {
  for (float scale : r.input(input).span<float>()) {
    if (!(scale > 0) || std::isinf(scale)) {
      return invalid_argument("scales elements must be all positive and finite, one is ", scale);
    }
  }
  return absl::OkStatus();
}

// What the range lets pass and T does not hold wraps around, as TensorFlow's cast does.
template <class T>
T within(int64_t level, const UniformRange& range) {
  return static_cast<T>(std::max(std::min(level, range.high), range.low));
}

Status uniform_quantize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(0), UniformRange(c.attrs(), ""), 1));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_uniform_quantize(Prepare& p) {
  const UniformRange range(p.attrs(), "");
  const UniformSlices slices(p.input_shape(0), range.axis);
  Kernel kernel;
  visit_quantized(p.output_dtype(0), [&]<class T>() {
    kernel = [=, total = p.input_shape(0).num_elements()](KernelRun& r) -> Status {
      for (int64_t i = 0; i < total; ++i) {
        const int64_t slice = slices.of(i);
        const float inverse = 1.0F / r.in<float>(1)[slice];
        const float level = std::floor(r.in<float>(0)[i] * inverse + 0.5F);
        const auto held = static_cast<int64_t>(std::clamp(to_int64(static_cast<double>(level)),
                                                          int64_t{INT32_MIN}, int64_t{INT32_MAX}));
        r.out<T>(0)[i] = within<T>(held + r.in<int32_t>(2)[slice], range);
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_uniform_dequantize(Prepare& p) {
  const UniformSlices slices(p.input_shape(0), UniformRange(p.attrs(), "").axis);
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class T>() {
    kernel = [=, total = p.input_shape(0).num_elements()](KernelRun& r) -> Status {
      TENON_RETURN_IF_ERROR(check_scales(r, 1));
      for (int64_t i = 0; i < total; ++i) {
        const int64_t slice = slices.of(i);
        const int64_t level = int64_t{r.in<T>(0)[i]} - r.in<int32_t>(2)[slice];
        r.out<float>(0)[i] = static_cast<float>(level) * r.in<float>(1)[slice];
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

// A positive factor as q * 2^(shift - 31), q of 31 bits.
struct FixedPoint {
  int64_t q = 0;
  int shift = 0;

  static StatusOr<FixedPoint> of(double factor) {
    if (!std::isfinite(factor) || factor <= 0) {
      return invalid_argument("double_multiplier must be a poisitive finite number. Given ",
                              factor);
    }
    FixedPoint f;
    f.q = std::llround(std::frexp(factor, &f.shift) * 0x1p31);
    if (f.q == int64_t{1} << 31) {
      f.q /= 2;
      ++f.shift;
    }
    if (f.shift < -31) f = {0, 0};
    if (f.shift > 30) f = {(int64_t{1} << 31) - 1, 30};
    return f;
  }
  // x times it, rounded; x is of 32 bits and a bit.
  int64_t times(int64_t x) const {
    const int bits = 31 - shift;
    return (std::clamp(x, int64_t{INT32_MIN}, int64_t{INT32_MAX}) * q +
            (int64_t{1} << (bits - 1))) >>
           bits;
  }
};

// Levels of one scale and zero point as those of another.
struct Rescale {
  FixedPoint factor;
  int64_t from_zero = 0, to_zero = 0;
  int64_t operator()(int64_t level) const { return factor.times(level - from_zero) + to_zero; }
};

// One for each slice of whichever side has several. Inputs: `from` and `to` are scales, zero points
// follow them.
StatusOr<std::vector<Rescale>> rescales(const KernelRun& r, int from, int to) {
  TENON_RETURN_IF_ERROR(check_scales(r, from));
  TENON_RETURN_IF_ERROR(check_scales(r, to));
  const int64_t of_from = r.input(from).num_elements(), of_to = r.input(to).num_elements();
  std::vector<Rescale> all;
  for (int64_t i = 0; i < std::max(of_from, of_to); ++i) {
    const int64_t a = of_from == 1 ? 0 : i, b = of_to == 1 ? 0 : i;
    Rescale one;
    TENON_ASSIGN_OR_RETURN(one.factor, FixedPoint::of(static_cast<double>(r.in<float>(from)[a]) /
                                                      static_cast<double>(r.in<float>(to)[b])));
    one.from_zero = r.in<int32_t>(from + 1)[a];
    one.to_zero = r.in<int32_t>(to + 1)[b];
    all.push_back(one);
  }
  return all;
}

Status uniform_requantize_shape(ShapeContext& c) {
  const UniformRange from(c.attrs(), "input_"), to(c.attrs(), "output_");
  if (from.axis >= 0 && to.axis >= 0 && from.axis != to.axis) {
    return invalid_argument(
        "If input and output is both per-axis quantized, the quantization axis "
        "must be same, they are ",
        from.axis, " and ", to.axis);
  }
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(0), from, 1));
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(0), to, 3));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_uniform_requantize(Prepare& p) {
  const UniformRange to(p.attrs(), "output_");
  const UniformSlices slices(p.input_shape(0),
                             std::max(UniformRange(p.attrs(), "input_").axis, to.axis));
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class X>() {
    visit_quantized(p.output_dtype(0), [&]<class Y>() {
      kernel = [=, total = p.input_shape(0).num_elements()](KernelRun& r) -> Status {
        TENON_ASSIGN_OR_RETURN(const std::vector<Rescale> steps, rescales(r, 1, 3));
        for (int64_t i = 0; i < total; ++i) {
          const Rescale& step = steps[static_cast<size_t>(slices.of(i))];
          r.out<Y>(0)[i] = within<Y>(step(int64_t{r.in<X>(0)[i]}), to);
        }
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

// lhs and rhs broadcast; quantised along an axis, that is the axis of the result.
Status uniform_add_shape(ShapeContext& c) {
  for (const auto& [prefix, input, first] : {std::tuple{"lhs_", 0, 2}, std::tuple{"rhs_", 1, 4}}) {
    TENON_RETURN_IF_ERROR(check_uniform(c, c.input(input), UniformRange(c.attrs(), prefix), first));
  }
  TENON_ASSIGN_OR_RETURN(PartialShape y, broadcast_shapes(c.input(0), c.input(1)));
  TENON_RETURN_IF_ERROR(check_uniform(c, y, UniformRange(c.attrs(), "output_"), 6));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_uniform_add(Prepare& p) {
  const UniformRange to(p.attrs(), "output_");
  const UniformSlices of_lhs(p.input_shape(0), UniformRange(p.attrs(), "lhs_").axis);
  const UniformSlices of_rhs(p.input_shape(1), UniformRange(p.attrs(), "rhs_").axis);
  if ((of_lhs.count != 1 || of_rhs.count != 1 || to.axis >= 0) &&
      !(p.input_shape(0) == p.input_shape(1))) {
    return unimplemented("UniformQuantizedAdd of levels by an axis that broadcast");
  }
  const Shape shapes[] = {p.input_shape(0), p.input_shape(1)};
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  return Kernel([=](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const std::vector<Rescale> lhs, rescales(r, 2, 6));
    TENON_ASSIGN_OR_RETURN(const std::vector<Rescale> rhs, rescales(r, 4, 6));
    const int32_t* a = r.in<int32_t>(0);
    const int32_t* b = r.in<int32_t>(1);
    const UniformSlices slices(r.output(0).shape(), to.axis);
    kernels::for_each_run(
        plan, [&](const int64_t* offsets, const int64_t* steps, int64_t first, int64_t count) {
          for (int64_t j = 0; j < count; ++j) {
            const auto slice = static_cast<size_t>(slices.of(first + j));
            const Rescale& of_a = lhs[slice];
            const int64_t sum = of_a(a[offsets[0] + j * steps[0]]) +
                                rhs[slice](b[offsets[1] + j * steps[1]]) - of_a.to_zero;
            r.out<int32_t>(0)[first + j] = within<int32_t>(sum, to);
          }
        });
    return absl::OkStatus();
  });
}

Status uniform_clip_shape(ShapeContext& c) {
  const UniformRange range(c.attrs(), "");
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(0), range, 3));
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(0), range, 1));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_uniform_clip(Prepare& p) {
  const UniformSlices slices(p.input_shape(0), UniformRange(p.attrs(), "").axis);
  return Kernel([=, total = p.input_shape(0).num_elements()](KernelRun& r) {
    for (int64_t i = 0; i < total; ++i) {
      const int64_t slice = slices.of(i);
      r.out<int32_t>(0)[i] =
          std::max(std::min(r.in<int32_t>(0)[i], r.in<int32_t>(2)[slice]), r.in<int32_t>(1)[slice]);
    }
    return absl::OkStatus();
  });
}

// [rows of lhs, columns of rhs].
StatusOr<PartialShape> uniform_product(const PartialShape& lhs, const PartialShape& rhs) {
  if (lhs.has_rank() && rhs.has_rank() && lhs[1] >= 0 && rhs[0] >= 0 && lhs[1] != rhs[0]) {
    return invalid_argument("lhs.dim(1) and rhs.dim(0) must be equal, they are ", lhs[1], " and ",
                            rhs[0]);
  }
  return PartialShape{lhs.has_rank() ? lhs[0] : -1, rhs.has_rank() ? rhs[1] : -1};
}

Status uniform_dot_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const UniformRange lhs(c.attrs(), "lhs_"), rhs(c.attrs(), "rhs_"), out(c.attrs(), "output_");
  if (lhs.axis != -1)
    return invalid_argument("lhs_quantization_axis Attr must be -1 (per-tensor).");
  if ((rhs.axis != -1 && rhs.axis != 1) || (out.axis != -1 && out.axis != 1)) {
    return invalid_argument("rhs_quantization_axis and output_quantization_axis must be -1 or 1");
  }
  if (rhs.axis == -1 && out.axis != -1) {
    return invalid_argument(
        "If rhs is per-tensor quantized, output must be also per-tensor quantized.");
  }
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(0), lhs, 2));
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(1), rhs, 4));
  TENON_ASSIGN_OR_RETURN(const PartialShape y, uniform_product(c.input(0), c.input(1)));
  TENON_RETURN_IF_ERROR(check_uniform(c, y, out, 6));
  c.set_output(0, y);
  return absl::OkStatus();
}

StatusOr<Kernel> make_uniform_dot(Prepare& p) {
  const UniformRange to(p.attrs(), "output_");
  const int64_t rows = p.output_shape(0)[0], columns = p.output_shape(0)[1];
  const int64_t inner = p.input_shape(0)[1];
  return Kernel([=](KernelRun& r) -> Status {
    for (int i : {2, 4, 6}) TENON_RETURN_IF_ERROR(check_scales(r, i));
    const int64_t of_rhs = r.input(4).num_elements(), of_out = r.input(6).num_elements();
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t b = of_rhs == 1 ? 0 : j, o = of_out == 1 ? 0 : j;
      TENON_ASSIGN_OR_RETURN(const FixedPoint factor,
                             FixedPoint::of(static_cast<double>(*r.in<float>(2)) *
                                            static_cast<double>(r.in<float>(4)[b]) /
                                            static_cast<double>(r.in<float>(6)[o])));
      const int64_t zero_lhs = *r.in<int32_t>(3), zero_rhs = r.in<int32_t>(5)[b];
      for (int64_t i = 0; i < rows; ++i) {
        uint64_t sum = 0;
        for (int64_t k = 0; k < inner; ++k) {
          sum += static_cast<uint64_t>((r.in<int8_t>(0)[i * inner + k] - zero_lhs)) *
                 static_cast<uint64_t>((r.in<int8_t>(1)[k * columns + j] - zero_rhs));
        }
        const int64_t level = factor.times(static_cast<int32_t>(static_cast<uint32_t>(sum)));
        r.out<int32_t>(0)[i * columns + j] = within<int32_t>(level + r.in<int32_t>(7)[o], to);
      }
    }
    return absl::OkStatus();
  });
}

Status uniform_dot_hybrid_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const UniformRange rhs(c.attrs(), "rhs_");
  if (rhs.axis != -1 && rhs.axis != 1) {
    return invalid_argument("rhs_quantization_axis Attr must be 1 or -1, it is ", rhs.axis);
  }
  TENON_RETURN_IF_ERROR(check_uniform(c, c.input(1), rhs, 2));
  TENON_ASSIGN_OR_RETURN(PartialShape y, uniform_product(c.input(0), c.input(1)));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// A row of floats as levels of 8 bits: the zero point is a level, the range holds 0.
struct LevelRow {
  float scale = 0;
  int64_t zero = 0;
  std::vector<int64_t> levels;

  explicit LevelRow(std::span<const float> x) : levels(x.size()) {
    double low = 0, high = 0;
    for (float value : x) {
      low = std::min(low, static_cast<double>(value));
      high = std::max(high, static_cast<double>(value));
    }
    if (low == high) return;
    const double step = (high - low) / 255, below = low / step, above = high / step;
    // From the end that rounds less.
    const double at = 128 + std::abs(below) < 127 + std::abs(above) ? -128 - below : 127 - above;
    zero = std::clamp<int64_t>(to_int64(std::round(at)), -128, 127);
    scale = static_cast<float>(step);
    const float inverse = 1 / scale;
    for (size_t i = 0; i < x.size(); ++i) {
      const float level = std::floor(x[i] * inverse + 0.5F);
      levels[i] = std::clamp<int64_t>(to_int64(static_cast<double>(level)), -4096, 4096) + zero;
      levels[i] = std::clamp<int64_t>(levels[i], -128, 127) - zero;
    }
  }
};

StatusOr<Kernel> make_uniform_dot_hybrid(Prepare& p) {
  const int64_t rows = p.input_shape(0)[0], inner = p.input_shape(0)[1];
  const int64_t columns = p.input_shape(1)[1];
  return Kernel([=](KernelRun& r) -> Status {
    TENON_RETURN_IF_ERROR(check_scales(r, 2));
    const bool by_column = r.input(2).num_elements() != 1;
    for (int64_t i = 0; i < rows; ++i) {
      const LevelRow row({r.in<float>(0) + i * inner, static_cast<size_t>(inner)});
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t zero = r.in<int32_t>(3)[by_column ? j : 0];
        int64_t sum = 0;
        for (int64_t k = 0; k < inner; ++k) {
          sum += row.levels[static_cast<size_t>(k)] * (r.in<int8_t>(1)[k * columns + j] - zero);
        }
        r.out<float>(0)[i * columns + j] =
            row.scale * r.in<float>(2)[by_column ? j : 0] * static_cast<float>(sum);
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(UniformQuantize) = {
    .inputs = "input: Tin, scales: float, zero_points: int32",
    .outputs = "output: Tout",
    .attrs =
        "Tin: {float}; Tout: {qint8, quint8, qint32}; quantization_axis: int = -1; "
        "quantization_min_val: int; quantization_max_val: int",
    .shape = uniform_quantize_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_quantize},
};
TENON_OP(UniformDequantize) = {
    .inputs = "input: Tin, scales: float, zero_points: int32",
    .outputs = "output: Tout",
    .attrs =
        "Tin: {qint8, quint8, qint32}; Tout: {float}; quantization_axis: int = -1; "
        "quantization_min_val: int; quantization_max_val: int",
    .shape = uniform_quantize_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_dequantize},
};
TENON_OP(UniformRequantize) = {
    .inputs =
        "input: Tin, input_scales: float, input_zero_points: int32, output_scales: float, "
        "output_zero_points: int32",
    .outputs = "output: Tout",
    .attrs =
        "Tin: {qint8, qint32}; Tout: {qint8, qint32}; input_quantization_axis: int = -1; "
        "input_quantization_min_val: int; input_quantization_max_val: int; "
        "output_quantization_axis: int = -1; output_quantization_min_val: int; "
        "output_quantization_max_val: int",
    .shape = uniform_requantize_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_requantize},
};
TENON_OP(UniformQuantizedAdd) = {
    .inputs =
        "lhs: T, rhs: T, lhs_scales: float, lhs_zero_points: int32, rhs_scales: float, "
        "rhs_zero_points: int32, output_scales: float, output_zero_points: int32",
    .outputs = "output: T",
    .attrs =
        "lhs_quantization_axis: int = -1; lhs_quantization_min_val: int; "
        "lhs_quantization_max_val: int; rhs_quantization_axis: int = -1; "
        "rhs_quantization_min_val: int; rhs_quantization_max_val: int; "
        "output_quantization_axis: int = -1; output_quantization_min_val: int; "
        "output_quantization_max_val: int; T: {qint32}",
    .shape = uniform_add_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_add},
};
TENON_OP(UniformQuantizedClipByValue) = {
    .inputs = "operand: T, min: T, max: T, scales: float, zero_points: int32",
    .outputs = "output: T",
    .attrs =
        "T: {qint32}; quantization_axis: int = -1; quantization_min_val: int; "
        "quantization_max_val: int",
    .shape = uniform_clip_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_clip},
};
TENON_OP(UniformQuantizedDot) = {
    .inputs =
        "lhs: Tin, rhs: Tin, lhs_scales: float, lhs_zero_points: int32, rhs_scales: float, "
        "rhs_zero_points: int32, output_scales: float, output_zero_points: int32",
    .outputs = "output: Tout",
    .attrs =
        "Tin: {qint8}; Tout: {qint32}; lhs_quantization_axis: int = -1; "
        "lhs_quantization_min_val: int; lhs_quantization_max_val: int; "
        "rhs_quantization_axis: int = -1; rhs_quantization_min_val: int; "
        "rhs_quantization_max_val: int; output_quantization_axis: int = -1; "
        "output_quantization_min_val: int; output_quantization_max_val: int",
    .shape = uniform_dot_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_dot},
};

TENON_OP(UniformQuantizedDotHybrid) = {
    .inputs = "lhs: Tlhs, rhs: Trhs, rhs_scales: float, rhs_zero_points: int32",
    .outputs = "output: Tout",
    .attrs =
        "Tlhs: {float}; Trhs: {qint8}; Tout: {float}; rhs_quantization_axis: int = -1; "
        "rhs_quantization_min_val: int; rhs_quantization_max_val: int",
    .shape = uniform_dot_hybrid_shape,
    .gradient = not_differentiable,
    .kernels = {make_uniform_dot_hybrid},
};

}  // namespace tenon
