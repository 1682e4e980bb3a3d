// FakeQuantWithMinMaxArgs, Vars, VarsPerChannel and their gradient ops: numbers rounded to what a
// few bits can hold. tensorflow/core/kernels/fake_quant_ops_functor.h.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// The steps between two limits, moved so that 0 is one of them.
struct QuantRange {
  float low = 0, high = 0, scale = 1, zero = 0;
  bool empty = false;  // both limits are 0

  QuantRange(float min, float max, float quant_min, float quant_max) {
    empty = min == 0 && max == 0;
    if (empty) return;
    scale = (max - min) / (quant_max - quant_min);
    const float from_min = quant_min - min / scale;
    const float point = from_min < quant_min   ? quant_min
                        : from_min > quant_max ? quant_max
                                               : std::round(from_min);
    low = (quant_min - point) * scale;
    high = (quant_max - point) * scale;
    zero = std::floor(-low * (1 / scale) + 0.5F);
  }
  float round(float x) const {
    if (empty) return 0;
    const float clamped = std::max(std::min(x, high), low);
    return std::floor((clamped - low) * (1 / scale) - zero + 0.5F) * scale;
  }
  bool holds(float x) const { return empty || (x >= low && x <= high); }
};

// The numbers of the quantised side, from the attributes.
struct QuantBits {
  float low = 0, high = 255;
};
StatusOr<QuantBits> quant_bits(const AttrMap& attrs) {
  const auto bits = attrs.get<int64_t>("num_bits");
  if (bits < 2 || bits > 16) {
    return invalid_argument("num_bits must be between 2 and 16, inclusive, it is ", bits);
  }
  return QuantBits{attrs.get<bool>("narrow_range") ? 1.0F : 0.0F,
                   static_cast<float>((int64_t{1} << bits) - 1)};
}

StatusOr<QuantRange> range_of_args(const AttrMap& attrs) {
  TENON_ASSIGN_OR_RETURN(const QuantBits bits, quant_bits(attrs));
  const auto min = attrs.get<float>("min"), max = attrs.get<float>("max");
  if (!(min < max)) {
    return invalid_argument("min has to be smaller than max, was: ", min, " >= ", max);
  }
  return QuantRange(min, max, bits.low, bits.high);
}

Status fake_quant_args_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(range_of_args(c.attrs()).status());
  PartialShape shape = c.input(0);
  if (c.num_inputs() > 1) {
    TENON_ASSIGN_OR_RETURN(shape, PartialShape::merge(c.input(0), c.input(1)));
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_fake_quant_args(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const QuantRange range, range_of_args(p.attrs()));
  p.may_overwrite(0, 0);
  return Kernel([range, count = p.input_shape(0).num_elements()](KernelRun& r) {
    const float* x = r.in<float>(0);
    float* y = r.out<float>(0);
    parallel_for(count, 8192, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = range.round(x[i]);
    });
    return absl::OkStatus();
  });
}

// Inputs: dy, x.
StatusOr<Kernel> make_fake_quant_args_grad(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const QuantRange range, range_of_args(p.attrs()));
  p.may_overwrite(0, 0);
  return Kernel([range, count = p.input_shape(0).num_elements()](KernelRun& r) {
    const float* dy = r.in<float>(0);
    const float* x = r.in<float>(1);
    float* dx = r.out<float>(0);
    parallel_for(count, 8192, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) dx[i] = range.holds(x[i]) ? dy[i] : 0;
    });
    return absl::OkStatus();
  });
}

// Limits are scalars, or one pair for each element of the last axis. `first`: the input that is
// quantised, min and max follow it.
Status check_limits(const ShapeContext& c, int first, bool per_channel) {
  TENON_RETURN_IF_ERROR(quant_bits(c.attrs()).status());
  if (per_channel) TENON_RETURN_IF_ERROR(c.expect_rank_at_least(first, 1));
  const PartialShape& x = c.input(first);
  for (int i = first + 1; i < first + 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, per_channel ? 1 : 0));
    if (!per_channel || !x.has_rank() || !c.input(i).has_rank()) continue;
    const int64_t channels = x[x.rank() - 1];
    if (channels >= 0 && c.input(i)[0] >= 0 && channels != c.input(i)[0]) {
      return invalid_argument(i == first + 1 ? "min" : "max", " has incorrect size, expected ",
                              channels, " was ", c.input(i)[0]);
    }
  }
  return absl::OkStatus();
}

template <bool per_channel>
Status fake_quant_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_limits(c, 0, per_channel));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

template <bool per_channel>
Status fake_quant_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_limits(c, 1, per_channel));
  TENON_ASSIGN_OR_RETURN(PartialShape shape, PartialShape::merge(c.input(0), c.input(1)));
  c.set_output(1, c.input(2));
  c.set_output(2, c.input(3));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<std::vector<QuantRange>> ranges_of(const KernelRun& r, int min, const QuantBits& bits) {
  std::vector<QuantRange> ranges;
  const auto low = r.input(min).span<float>(), high = r.input(min + 1).span<float>();
  for (size_t i = 0; i < low.size(); ++i) {
    ranges.emplace_back(low[i], high[i], bits.low, bits.high);
  }
  return ranges;
}

// One kernel for both: scalars are one channel of many rows.
StatusOr<Kernel> make_fake_quant(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const QuantBits bits, quant_bits(p.attrs()));
  const int64_t channels = p.input_shape(1).num_elements();
  p.may_overwrite(0, 0);
  return Kernel([bits, channels, count = p.input_shape(0).num_elements()](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const auto ranges, ranges_of(r, 1, bits));
    const float* x = r.in<float>(0);
    float* y = r.out<float>(0);
    parallel_for(count, 8192, [&](int64_t begin, int64_t end) {
      if (channels == 1) {
        const QuantRange range = ranges[0];
        for (int64_t i = begin; i < end; ++i) y[i] = range.round(x[i]);
        return;
      }
      for (int64_t i = begin; i < end; ++i) {
        y[i] = ranges[static_cast<size_t>(i % channels)].round(x[i]);
      }
    });
    return absl::OkStatus();
  });
}

// What lies outside the limits moves with them.
StatusOr<Kernel> make_fake_quant_grad(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const QuantBits bits, quant_bits(p.attrs()));
  const int64_t channels = p.input_shape(2).num_elements();
  const int64_t rows = channels == 0 ? 0 : p.input_shape(0).num_elements() / channels;
  return Kernel([bits, channels, rows](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const auto ranges, ranges_of(r, 2, bits));
    parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        const QuantRange& range = ranges[static_cast<size_t>(c)];
        double below = 0, above = 0;
        for (int64_t i = c; i < rows * channels; i += channels) {
          const float dy = r.in<float>(0)[i], x = r.in<float>(1)[i];
          const bool held = range.holds(x);
          r.out<float>(0)[i] = held ? dy : 0;
          if (!held && x < range.low) below += dy;
          if (!held && x > range.high) above += dy;
        }
        r.out<float>(1)[c] = static_cast<float>(below);
        r.out<float>(2)[c] = static_cast<float>(above);
      }
    });
    return absl::OkStatus();
  });
}

Status fake_quant_args_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("FakeQuantWithMinMaxArgsGradient", {g.dy(), g.input(0)},
                           {{"min", g.attr<float>("min")},
                            {"max", g.attr<float>("max")},
                            {"num_bits", g.attr<int64_t>("num_bits")},
                            {"narrow_range", g.attr<bool>("narrow_range")}}));
  return absl::OkStatus();
}

Status fake_quant_gradient(Gradient& g) {
  const std::vector<Endpoint> dx = g.build().ops(
      cat(g.forward().op->name(), "Gradient"), {g.dy(), g.input(0), g.input(1), g.input(2)},
      {{"num_bits", g.attr<int64_t>("num_bits")}, {"narrow_range", g.attr<bool>("narrow_range")}});
  for (size_t i = 0; i < dx.size(); ++i) g.set_dx(static_cast<int>(i), dx[i]);
  return absl::OkStatus();
}

template <bool per_channel>
constexpr OpDecl fake_quant() {
  return {
      .inputs = "inputs: float, min: float, max: float",
      .outputs = "outputs: float",
      .attrs = "num_bits: int = 8; narrow_range: bool = false",
      .shape = fake_quant_shape<per_channel>,
      .rows = per_channel ? Rows::kIndependentUnlessRank1 : Rows::kIndependent,
      .gradient = fake_quant_gradient,
      .kernels = {make_fake_quant},
  };
}

template <bool per_channel>
constexpr OpDecl fake_quant_grad() {
  return {
      .inputs = "gradients: float, inputs: float, min: float, max: float",
      .outputs = "backprops_wrt_input: float, backprop_wrt_min: float, backprop_wrt_max: float",
      .attrs = "num_bits: int = 8; narrow_range: bool = false",
      .shape = fake_quant_grad_shape<per_channel>,
      .gradient = not_differentiable,
      .kernels = {make_fake_quant_grad},
  };
}

}  // namespace

TENON_OP(FakeQuantWithMinMaxArgs) = {
    .inputs = "inputs: float",
    .outputs = "outputs: float",
    .attrs = "min: float = -6; max: float = 6; num_bits: int = 8; narrow_range: bool = false",
    .shape = fake_quant_args_shape,
    .rows = Rows::kIndependent,
    .gradient = fake_quant_args_gradient,
    .kernels = {make_fake_quant_args},
};

TENON_OP(FakeQuantWithMinMaxArgsGradient) = {
    .inputs = "gradients: float, inputs: float",
    .outputs = "backprops: float",
    .attrs = "min: float = -6; max: float = 6; num_bits: int = 8; narrow_range: bool = false",
    .shape = fake_quant_args_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_fake_quant_args_grad},
};

TENON_OP(FakeQuantWithMinMaxVars) = fake_quant<false>();
TENON_OP(FakeQuantWithMinMaxVarsPerChannel) = fake_quant<true>();
TENON_OP(FakeQuantWithMinMaxVarsGradient) = fake_quant_grad<false>();
TENON_OP(FakeQuantWithMinMaxVarsPerChannelGradient) = fake_quant_grad<true>();

}  // namespace tenon
