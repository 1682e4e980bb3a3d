// _LiteConv2D, _LiteDepthwiseConv2D: filters [out, rows, columns, in] and [1, rows, columns,
// in * multiplier].
#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/ops/tflite/conv_form.h"

namespace tenon {
namespace {

using kernels::LevelConvSpec;
using lite::check_bias;
using lite::check_conv;
using lite::check_filter_size;
using lite::window_of;

template <bool depthwise>
Status lite_conv_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[depthwise ? 3 : 0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c, out));
  TENON_RETURN_IF_ERROR(check_bias(c, out));
  if (x.has_rank() && w.has_rank() && x[3] >= 0 && w[3] >= 0) {
    const bool fits = depthwise ? x[3] > 0 && w[3] % x[3] == 0 && (w[0] < 0 || w[0] == 1)
                                : w[3] > 0 && x[3] % w[3] == 0 && w[0] % (x[3] / w[3]) == 0;
    if (!fits) return invalid_argument("an input of shape ", x, " and a filter of shape ", w);
  }
  TENON_RETURN_IF_ERROR(check_filter_size(w));
  LevelConvSpec spec;
  int64_t output[2];
  TENON_RETURN_IF_ERROR(window_of(c.attrs(), x, w, spec, output));
  c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, output[0], output[1], out});
  return absl::OkStatus();
}

StatusOr<LevelConvSpec> level_conv_spec(const Prepare& p, int64_t out) {
  LevelConvSpec spec;
  const Shape& x = p.input_shape(0);
  const Shape& w = p.input_shape(1);
  int64_t output[2];
  TENON_RETURN_IF_ERROR(window_of(p.attrs(), x, w, spec, output));
  spec.batch = x[0];
  spec.rows = x[1];
  spec.columns = x[2];
  spec.in = x[3];
  spec.out = out;
  spec.kernel_rows = w[1];
  spec.kernel_columns = w[2];
  spec.out_rows = output[0];
  spec.out_columns = output[1];
  TENON_RETURN_IF_ERROR(lite::set_levels(p, spec));
  return spec;
}

StatusOr<Kernel> make_lite_conv(Prepare& p) {
  const Shape& w = p.input_shape(1);
  TENON_ASSIGN_OR_RETURN(LevelConvSpec spec, level_conv_spec(p, w[0]));
  spec.groups = std::max<int64_t>(spec.in / w[3], 1);
  return lite::make_level_conv(p, spec);
}

// Depthwise with sums of 64 bits, which have no vectors.
struct WideDepthwise {
  LevelConvSpec s;
  std::vector<lite::Multiplier> factors;

  // The sums of one cell.
  void add_taps(const int16_t* x, const int8_t* w, int64_t row, int64_t column,
                uint64_t* sums) const {
    const int64_t multiplier = s.out / s.in;
    for (int64_t i = 0; i < s.kernel_rows; ++i) {
      const int64_t from_y = row * s.stride[0] - s.before[0] + i * s.dilation[0];
      if (from_y < 0 || from_y >= s.rows) continue;
      for (int64_t j = 0; j < s.kernel_columns; ++j) {
        const int64_t from_x = column * s.stride[1] - s.before[1] + j * s.dilation[1];
        if (from_x < 0 || from_x >= s.columns) continue;
        const int16_t* cell = x + (from_y * s.columns + from_x) * s.in;
        const int8_t* weight = w + (i * s.kernel_columns + j) * s.out;
        for (int64_t o = 0; o < s.out; ++o) {
          const int32_t level = cell[multiplier == 1 ? o : o / multiplier];
          sums[o] += static_cast<uint64_t>(int64_t{level - s.zero_x} * (weight[o] - s.zero_w));
        }
      }
    }
  }

  int16_t finished(uint64_t sum, int64_t channel) const {
    const lite::Multiplier m = factors[factors.size() == 1 ? 0 : static_cast<size_t>(channel)];
    const int32_t level = lite::wrapping_add(lite::scaled(static_cast<int64_t>(sum), m), s.zero_y);
    return static_cast<int16_t>(lite::clamped(level, s.low, s.high));
  }

  void run(const int16_t* x, const int8_t* w, const int64_t* bias, int16_t* y,
           uint64_t* scratch) const {
    const int64_t work = s.kernel_rows * s.kernel_columns * s.out;
    const int64_t places = s.batch * s.out_rows * s.out_columns, grain = kernels::grain_of(work);
    parallel_workers(places, grain, [&](int64_t worker, int64_t begin, int64_t end) {
      uint64_t* sums = scratch + worker * s.out;
      for (int64_t place = begin; place < end; ++place) {
        const int64_t row = place / s.out_columns % s.out_rows;
        const int64_t image = place / s.out_columns / s.out_rows;
        for (int64_t o = 0; o < s.out; ++o) sums[o] = static_cast<uint64_t>(bias[o]);
        add_taps(x + image * s.rows * s.columns * s.in, w, row, place % s.out_columns, sums);
        for (int64_t o = 0; o < s.out; ++o) y[place * s.out + o] = finished(sums[o], o);
      }
    });
  }
};

StatusOr<Kernel> make_lite_depthwise(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(LevelConvSpec spec, level_conv_spec(p, p.input_shape(1)[3]));
  spec.depthwise = true;
  if (spec.bias != DType::kInt64) return lite::make_level_conv(p, spec);
  p.reserve_scratch(static_cast<size_t>(p.team() * spec.out) * sizeof(uint64_t));
  const WideDepthwise depthwise{spec, lite::multipliers_of(p.attrs())};
  return Kernel([depthwise](KernelRun& r) {
    depthwise.run(r.in<int16_t>(0), r.in<int8_t>(1), r.in<int64_t>(2), r.out<int16_t>(0),
                  r.scratch<uint64_t>());
    return absl::OkStatus();
  });
}

}  // namespace

#define TENON_LITE_CONV_ATTRS                                   \
  "T: " TENON_LITE_LEVELS                                       \
  "; W: {int8, uint8}; B: {int32, int64}; strides: list(int); " \
  "dilations: list(int); padding: {'SAME', 'VALID'}; " TENON_LITE_FACTORS

TENON_OP(_LiteConv2D) = {
    .inputs = "x: T, filter: W, bias: B",
    .outputs = "y: T",
    .attrs = TENON_LITE_CONV_ATTRS,
    .shape = lite_conv_shape<false>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_lite_conv},
};

TENON_OP(_LiteDepthwiseConv2D) = {
    .inputs = "x: T, filter: W, bias: B",
    .outputs = "y: T",
    .attrs = TENON_LITE_CONV_ATTRS,
    .shape = lite_conv_shape<true>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_lite_depthwise},
};

}  // namespace tenon
