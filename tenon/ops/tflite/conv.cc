// _LiteConv2D, _LiteDepthwiseConv2D: filters [out, rows, columns, in] and [1, rows, columns,
// in * multiplier].
#include "tenon/ops/tflite/conv_form.h"

namespace tenon {
namespace {

using lite::check_bias;
using lite::check_conv;
using lite::check_filter_size;
using lite::dot_centred;
using lite::dot_levels;
using lite::for_each_place;
using lite::LiteConvForm;
using lite::set_factors;
using lite::visit_conv;
using lite::window_of;
using lite::wrapped_sum;

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
  LiteConvForm form;
  int64_t output[2];
  TENON_RETURN_IF_ERROR(window_of(c.attrs(), x, w, form, output));
  c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, output[0], output[1], out});
  return absl::OkStatus();
}

StatusOr<LiteConvForm> conv_form(const Prepare& p, int64_t out) {
  LiteConvForm form;
  const Shape& x = p.input_shape(0);
  const Shape& w = p.input_shape(1);
  int64_t output[2];
  TENON_RETURN_IF_ERROR(window_of(p.attrs(), x, w, form, output));
  form.batch = x[0];
  form.rows = x[1];
  form.columns = x[2];
  form.in = x[3];
  form.out = out;
  form.kernel_rows = w[1];
  form.kernel_columns = w[2];
  form.out_rows = output[0];
  form.out_columns = output[1];
  set_factors(p, form);
  return form;
}

// The window's cells without their zero point; zeros where it lies outside.
template <class X>
void collect_window(const LiteConvForm& form, const X* x, int64_t image, int64_t row,
                    int64_t column, int16_t* cells) {
  for (int64_t i = 0; i < form.kernel_rows; ++i) {
    const int64_t from_y = row * form.stride[0] - form.before[0] + i * form.dilation[0];
    for (int64_t j = 0; j < form.kernel_columns; ++j, cells += form.in) {
      const int64_t from_x = column * form.stride[1] - form.before[1] + j * form.dilation[1];
      if (from_y < 0 || from_y >= form.rows || from_x < 0 || from_x >= form.columns) {
        std::fill_n(cells, form.in, int16_t{0});
        continue;
      }
      const X* cell = x + ((image * form.rows + from_y) * form.columns + from_x) * form.in;
      for (int64_t c = 0; c < form.in; ++c) {
        cells[c] = static_cast<int16_t>(int32_t{cell[c]} - form.zero_x);
      }
    }
  }
}

// Of one group. 16 bits have no zero point, so cells fit in 16 bits always.
template <class X, class W, class Sum>
Kernel conv_levels(LiteConvForm form) {
  return [form = std::move(form)](KernelRun& r) {
    const X* x = r.in<X>(0);
    const W* w = r.in<W>(1);
    const Sum* bias = r.in<Sum>(2);
    X* y = r.out<X>(0);
    const int64_t size = form.kernel_rows * form.kernel_columns * form.in;
    int16_t* scratch = r.scratch<int16_t>();
    // Products of this many elements fit 32 bits.
    constexpr int64_t kBlock = sizeof(X) == 1 ? 8192 : 128;
    for_each_place(
        form, [&](int64_t image, int64_t row, int64_t column, int64_t at, int64_t worker) {
          int16_t* cells = scratch + worker * size;
          collect_window(form, x, image, row, column, cells);
          for (int64_t o = 0; o < form.out; ++o) {
            const Sum sum = wrapped_sum(
                bias[o], dot_centred<Sum, kBlock>(cells, w + o * size, size, form.zero_w));
            y[at + o] = static_cast<X>(form.finish(sum, o));
          }
        });
    return absl::OkStatus();
  };
}

template <class X, class W, class Sum>
Kernel grouped_levels(LiteConvForm form, int64_t filter_in) {
  return [form = std::move(form), filter_in](KernelRun& r) {
    const X* x = r.in<X>(0);
    const W* w = r.in<W>(1);
    const Sum* bias = r.in<Sum>(2);
    X* y = r.out<X>(0);
    const int64_t per_group = form.out / std::max<int64_t>(form.in / filter_in, 1);
    const int64_t filter_size = form.kernel_rows * form.kernel_columns * filter_in;
    for_each_place(form, [&](int64_t image, int64_t row, int64_t column, int64_t at, int64_t) {
      for (int64_t o = 0; o < form.out; ++o) {
        Sum sum = bias[o];
        const int64_t first = o / per_group * filter_in;
        for (int64_t i = 0; i < form.kernel_rows; ++i) {
          const int64_t from_y = row * form.stride[0] - form.before[0] + i * form.dilation[0];
          if (from_y < 0 || from_y >= form.rows) continue;
          for (int64_t j = 0; j < form.kernel_columns; ++j) {
            const int64_t from_x = column * form.stride[1] - form.before[1] + j * form.dilation[1];
            if (from_x < 0 || from_x >= form.columns) continue;
            const X* cell = x + ((image * form.rows + from_y) * form.columns + from_x) * form.in;
            const W* weight = w + o * filter_size + (i * form.kernel_columns + j) * filter_in;
            sum = wrapped_sum(
                sum, dot_levels<Sum>(cell + first, weight, filter_in, form.zero_x, form.zero_w));
          }
        }
        y[at + o] = static_cast<X>(form.finish(sum, o));
      }
    });
    return absl::OkStatus();
  };
}

template <class X, class W, class Sum>
Kernel depthwise_levels(LiteConvForm form) {
  return [form = std::move(form)](KernelRun& r) {
    using Wrapping = std::make_unsigned_t<Sum>;
    const X* x = r.in<X>(0);
    const W* w = r.in<W>(1);
    const Sum* bias = r.in<Sum>(2);
    X* y = r.out<X>(0);
    const int64_t multiplier = form.out / form.in;
    Wrapping* scratch = r.scratch<Wrapping>();
    for_each_place(form, [&](int64_t image, int64_t row, int64_t column, int64_t at,
                             int64_t worker) {
      Wrapping* sums = scratch + worker * form.out;
      for (int64_t o = 0; o < form.out; ++o) sums[o] = static_cast<Wrapping>(bias[o]);
      for (int64_t i = 0; i < form.kernel_rows; ++i) {
        const int64_t from_y = row * form.stride[0] - form.before[0] + i * form.dilation[0];
        if (from_y < 0 || from_y >= form.rows) continue;
        for (int64_t j = 0; j < form.kernel_columns; ++j) {
          const int64_t from_x = column * form.stride[1] - form.before[1] + j * form.dilation[1];
          if (from_x < 0 || from_x >= form.columns) continue;
          const X* cell = x + ((image * form.rows + from_y) * form.columns + from_x) * form.in;
          const W* weight = w + (i * form.kernel_columns + j) * form.out;
          const auto product = [&](int64_t c, int64_t o) {
            return static_cast<Wrapping>(static_cast<Sum>((int32_t{cell[c]} - form.zero_x) *
                                                          (int32_t{weight[o]} - form.zero_w)));
          };
          if (multiplier == 1) {
            for (int64_t o = 0; o < form.out; ++o) sums[o] += product(o, o);
          } else {
            for (int64_t o = 0; o < form.out; ++o) sums[o] += product(o / multiplier, o);
          }
        }
      }
      for (int64_t o = 0; o < form.out; ++o) {
        y[at + o] = static_cast<X>(form.finish(static_cast<Sum>(sums[o]), o));
      }
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_conv(Prepare& p) {
  const Shape& w = p.input_shape(1);
  TENON_ASSIGN_OR_RETURN(LiteConvForm form, conv_form(p, w[0]));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    const bool centred = sizeof(X) == 1 || form.zero_x == 0;
    if (w[3] == form.in && centred) {
      const int64_t size = form.kernel_rows * form.kernel_columns * form.in;
      p.reserve_scratch(static_cast<size_t>(p.team() * size) * sizeof(int16_t));
      kernel = conv_levels<X, W, Sum>(std::move(form));
    } else {
      kernel = grouped_levels<X, W, Sum>(std::move(form), w[3]);
    }
  }));
  return kernel;
}

StatusOr<Kernel> make_lite_depthwise(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(LiteConvForm form, conv_form(p, p.input_shape(1)[3]));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    p.reserve_scratch(static_cast<size_t>(p.team() * form.out) * sizeof(Sum));
    kernel = depthwise_levels<X, W, Sum>(std::move(form));
  }));
  return kernel;
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
