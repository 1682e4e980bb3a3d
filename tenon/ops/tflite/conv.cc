// _LiteConv2D, _LiteDepthwiseConv2D, _LiteTransposeConv, _LiteFullyConnected: products of levels
// with a factor by output channel. Filters lie as in TensorFlow Lite: [out, rows, columns, in],
// [1, rows, columns, in * multiplier], [out, in]. Sums are in 32 bits that wrap; with 16-bit
// activations and a 64-bit bias in 64.
#include "tenon/base/parallel.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

struct LiteConvForm {
  int64_t batch = 0, rows = 0, columns = 0, in = 0, out = 0, kernel_rows = 0, kernel_columns = 0,
          out_rows = 0, out_columns = 0;
  int64_t stride[2]{1, 1}, dilation[2]{1, 1}, before[2]{0, 0};
  std::vector<lite::Multiplier> factors;
  int32_t zero_x = 0, zero_w = 0, zero_y = 0;
  lite::LevelRange range{0, 0};

  lite::Multiplier factor(int64_t channel) const {
    return factors[factors.size() == 1 ? 0 : static_cast<size_t>(channel)];
  }
  template <class Sum>
  int32_t finish(Sum sum, int64_t channel) const {
    return lite::clamped(lite::wrapping_add(lite::scaled(sum, factor(channel)), zero_y), range.low,
                         range.high);
  }
  int32_t finish_once(int64_t sum, int64_t channel) const {
    return lite::clamped(lite::wrapping_add(lite::scaled_once(sum, factor(channel)), zero_y),
                         range.low, range.high);
  }
};

// Windows of [batch, rows, columns, in]; `out` channels.
Status check_conv(const AttrMap& attrs, int64_t out) {
  TENON_RETURN_IF_ERROR(lite::check_factors(attrs, lite::kAnyNumber, 3));
  const size_t factors = attrs.get<std::vector<int64_t>>("multipliers").size();
  if (factors != 1 && out >= 0 && static_cast<int64_t>(factors) != out) {
    return invalid_argument("there are ", factors, " factors for ", out, " channels");
  }
  return absl::OkStatus();
}

Status check_bias(ShapeContext& c, int64_t out) {
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

template <bool depthwise>
Status lite_conv_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[depthwise ? 3 : 0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c.attrs(), out));
  TENON_RETURN_IF_ERROR(check_bias(c, out));
  if (x.has_rank() && w.has_rank() && x[3] >= 0 && w[3] >= 0) {
    const bool fits = depthwise ? x[3] > 0 && w[3] % x[3] == 0 && (w[0] < 0 || w[0] == 1)
                                : w[3] > 0 && x[3] % w[3] == 0 && w[0] % (x[3] / w[3]) == 0;
    if (!fits) return invalid_argument("an input of shape ", x, " and a filter of shape ", w);
  }
  // A filter without elements may have any dimensions; the kernel multiplies these.
  for (int64_t size = 1, axis = 1; w.has_rank() && axis < 4; ++axis) {
    TENON_ASSIGN_OR_RETURN(size, multiply_dims(size, w[static_cast<int>(axis)]));
  }
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
  form.factors = lite::multipliers_of(p.attrs());
  const auto zero = lite::zero_points_of(p.attrs());
  form.zero_x = zero[0];
  form.zero_w = zero[1];
  form.zero_y = zero[2];
  form.range = lite::range_of(p.attrs(), p.output_dtype(0));
  return form;
}

// Sums of products that wrap, in the accumulator's width.
template <class Sum, class X, class W>
Sum dot_levels(const X* x, const W* w, int64_t count, int32_t zero_x, int32_t zero_w) {
  using Wrapping = std::make_unsigned_t<Sum>;
  Wrapping sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<Wrapping>(static_cast<Sum>(int32_t{x[i]} - zero_x) *
                                 static_cast<Sum>(int32_t{w[i]} - zero_w));
  }
  return static_cast<Sum>(sum);
}

template <class Sum>
Sum wrapped_sum(Sum a, Sum b) {
  using Wrapping = std::make_unsigned_t<Sum>;
  return static_cast<Sum>(static_cast<Wrapping>(a) + static_cast<Wrapping>(b));
}

// body(image, row, column, first element of the result's channels) for all places, in parallel.
template <class Body>
void for_each_place(const LiteConvForm& form, const Body& body) {
  if (form.out == 0) return;
  const double work =
      static_cast<double>(form.kernel_rows * form.kernel_columns) * static_cast<double>(form.out);
  const int64_t grain = std::max<int64_t>(1, static_cast<int64_t>((1 << 14) / (work + 1)));
  parallel_for(form.batch * form.out_rows * form.out_columns, grain,
               [&](int64_t begin, int64_t end) {
                 for (int64_t place = begin; place < end; ++place) {
                   const int64_t column = place % form.out_columns;
                   const int64_t row = place / form.out_columns % form.out_rows;
                   body(place / form.out_columns / form.out_rows, row, column, place * form.out);
                 }
               });
}

template <class X, class W, class Sum>
Kernel conv_levels(LiteConvForm form, int64_t filter_in) {
  return [form = std::move(form), filter_in](KernelRun& r) {
    const X* x = r.in<X>(0);
    const W* w = r.in<W>(1);
    const Sum* bias = r.in<Sum>(2);
    X* y = r.out<X>(0);
    const int64_t per_group = form.out / std::max<int64_t>(form.in / filter_in, 1);
    const int64_t filter_size = form.kernel_rows * form.kernel_columns * filter_in;
    for_each_place(form, [&](int64_t image, int64_t row, int64_t column, int64_t at) {
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
    const X* x = r.in<X>(0);
    const W* w = r.in<W>(1);
    const Sum* bias = r.in<Sum>(2);
    X* y = r.out<X>(0);
    const int64_t multiplier = form.out / form.in;
    for_each_place(form, [&](int64_t image, int64_t row, int64_t column, int64_t at) {
      for (int64_t o = 0; o < form.out; ++o) {
        Sum sum = bias[o];
        for (int64_t i = 0; i < form.kernel_rows; ++i) {
          const int64_t from_y = row * form.stride[0] - form.before[0] + i * form.dilation[0];
          if (from_y < 0 || from_y >= form.rows) continue;
          for (int64_t j = 0; j < form.kernel_columns; ++j) {
            const int64_t from_x = column * form.stride[1] - form.before[1] + j * form.dilation[1];
            if (from_x < 0 || from_x >= form.columns) continue;
            const int64_t cell = ((image * form.rows + from_y) * form.columns + from_x) * form.in;
            sum = wrapped_sum(sum, dot_levels<Sum>(x + cell + o / multiplier,
                                                   w + (i * form.kernel_columns + j) * form.out + o,
                                                   1, form.zero_x, form.zero_w));
          }
        }
        y[at + o] = static_cast<X>(form.finish(sum, o));
      }
    });
    return absl::OkStatus();
  };
}

// Calls f<X, W, Sum>() for the dtypes of activations, weights and bias that go together.
template <class F>
Status visit_conv(const Prepare& p, const F& f) {
  const DType x = p.input_dtype(0), w = p.input_dtype(1), bias = p.input_dtype(2);
  if (x == DType::kInt8 && w == DType::kInt8 && bias == DType::kInt32) {
    f.template operator()<int8_t, int8_t, int32_t>();
  } else if (x == DType::kUint8 && w == DType::kUint8 && bias == DType::kInt32) {
    f.template operator()<uint8_t, uint8_t, int32_t>();
  } else if (x == DType::kInt16 && w == DType::kInt8 && bias == DType::kInt32) {
    f.template operator()<int16_t, int8_t, int32_t>();
  } else if (x == DType::kInt16 && w == DType::kInt8 && bias == DType::kInt64) {
    f.template operator()<int16_t, int8_t, int64_t>();
  } else {
    return unimplemented("activations of ", x, ", weights of ", w, " and a bias of ", bias);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_lite_conv(Prepare& p) {
  const Shape& w = p.input_shape(1);
  TENON_ASSIGN_OR_RETURN(LiteConvForm form, conv_form(p, w[0]));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    kernel = conv_levels<X, W, Sum>(std::move(form), w[3]);
  }));
  return kernel;
}

StatusOr<Kernel> make_lite_depthwise(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(LiteConvForm form, conv_form(p, p.input_shape(1)[3]));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    kernel = depthwise_levels<X, W, Sum>(std::move(form));
  }));
  return kernel;
}

// --- fully connected: [.., in] as rows, [out, in] ---

Status lite_connected_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c.attrs(), out));
  TENON_RETURN_IF_ERROR(check_bias(c, out));
  if (x.has_rank() && w.has_rank() && x[1] >= 0 && w[1] >= 0 && x[1] != w[1]) {
    return invalid_argument("rows of ", x[1], " and weights of shape ", w);
  }
  c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, out});
  return absl::OkStatus();
}

StatusOr<Kernel> make_lite_connected(Prepare& p) {
  LiteConvForm form;
  const int64_t rows = p.input_shape(0)[0], in = p.input_shape(0)[1], out = p.input_shape(1)[0];
  form.factors = lite::multipliers_of(p.attrs());
  const auto zero = lite::zero_points_of(p.attrs());
  form.zero_x = zero[0];
  form.zero_w = zero[1];
  form.zero_y = zero[2];
  form.range = lite::range_of(p.attrs(), p.output_dtype(0));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    kernel = [form, rows, in, out, once = form.factors.size() > 1](KernelRun& r) {
      const X* x = r.in<X>(0);
      const W* w = r.in<W>(1);
      const Sum* bias = r.in<Sum>(2);
      X* y = r.out<X>(0);
      const int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(in, 1));
      parallel_for(rows * out, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t o = i % out;
          const Sum sum = wrapped_sum(
              bias[o], dot_levels<Sum>(x + i / out * in, w + o * in, in, form.zero_x, form.zero_w));
          y[i] = static_cast<X>(once ? form.finish_once(sum, o) : form.finish(sum, o));
        }
      });
      return absl::OkStatus();
    };
  }));
  return kernel;
}

// --- transposed convolution: the filter is [out, rows, columns, in] ---

Status lite_transpose_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  TENON_ASSIGN_OR_RETURN(const PartialShape y, c.shape_from_input(3));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c.attrs(), out));
  TENON_RETURN_IF_ERROR(check_bias(c, out));
  TENON_ASSIGN_OR_RETURN(const auto stride, pair_of(c.attrs(), "strides"));
  if (!c.constant(3)) {
    c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, -1, -1, out});
    return absl::OkStatus();
  }
  const PartialShape channels = {x.has_rank() ? x[0] : -1, -1, -1, out};
  if (y.rank() != 4 || y[0] < 0 || y[1] < 0 || y[2] < 0 || y[3] < 0 ||
      !PartialShape::merge(y, channels).ok()) {
    return invalid_argument("an output of shape ", y, " for ", x, " and a filter of ", w);
  }
  if (x.has_rank() && w.has_rank()) {
    if (x[3] >= 0 && w[3] >= 0 && x[3] != w[3]) {
      return invalid_argument("an input of shape ", x, " and a filter of shape ", w);
    }
    for (int64_t size = 1, axis = 1; axis < 4; ++axis) {
      TENON_ASSIGN_OR_RETURN(size, multiply_dims(size, w[static_cast<int>(axis)]));
    }
    const int64_t strides[] = {stride.first, stride.second};
    for (int i = 0; i < 2; ++i) {
      if (x[i + 1] < 0 || w[i + 1] < 0) continue;
      TENON_ASSIGN_OR_RETURN(const Window window, window_output(y[i + 1], w[i + 1], 1, strides[i],
                                                                c.attr<std::string>("padding")));
      if (window.output != x[i + 1]) {
        return invalid_argument("an output of shape ", y, " gives ", window.output, " along axis ",
                                i + 1, " of the input, which has ", x);
      }
    }
  }
  c.set_output(0, y);
  return absl::OkStatus();
}

// Each result gathers the cells whose windows cover it.
template <class X, class W, class Sum>
Kernel transpose_levels(LiteConvForm form) {
  return [form = std::move(form)](KernelRun& r) {
    const X* x = r.in<X>(0);
    const W* w = r.in<W>(1);
    const Sum* bias = r.in<Sum>(2);
    X* y = r.out<X>(0);
    const int64_t filter_size = form.kernel_rows * form.kernel_columns * form.in;
    for_each_place(form, [&](int64_t image, int64_t row, int64_t column, int64_t at) {
      for (int64_t o = 0; o < form.out; ++o) {
        Sum sum = bias[o];
        for (int64_t i = 0; i < form.kernel_rows; ++i) {
          const int64_t up = row + form.before[0] - i;
          if (up < 0 || up % form.stride[0] != 0 || up / form.stride[0] >= form.rows) continue;
          for (int64_t j = 0; j < form.kernel_columns; ++j) {
            const int64_t left = column + form.before[1] - j;
            const int64_t from_x = left / form.stride[1];
            if (left < 0 || left % form.stride[1] != 0 || from_x >= form.columns) continue;
            const int64_t from_y = up / form.stride[0];
            const X* cell = x + ((image * form.rows + from_y) * form.columns + from_x) * form.in;
            const W* weight = w + o * filter_size + (i * form.kernel_columns + j) * form.in;
            sum =
                wrapped_sum(sum, dot_levels<Sum>(cell, weight, form.in, form.zero_x, form.zero_w));
          }
        }
        y[at + o] = static_cast<X>(form.finish(sum, o));
      }
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_transpose(Prepare& p) {
  LiteConvForm form;
  const Shape& x = p.input_shape(0);
  const Shape& w = p.input_shape(1);
  const Shape y = p.output_shape(0).to_shape();
  TENON_ASSIGN_OR_RETURN(const auto stride, pair_of(p.attrs(), "strides"));
  form.stride[0] = stride.first;
  form.stride[1] = stride.second;
  for (int i = 0; i < 2; ++i) {
    TENON_ASSIGN_OR_RETURN(const Window window, window_output(y[i + 1], w[i + 1], 1, form.stride[i],
                                                              p.attr<std::string>("padding")));
    form.before[i] = window.before;
  }
  form.batch = x[0];
  form.rows = x[1];
  form.columns = x[2];
  form.in = x[3];
  form.out = w[0];
  form.kernel_rows = w[1];
  form.kernel_columns = w[2];
  form.out_rows = y[1];
  form.out_columns = y[2];
  form.factors = lite::multipliers_of(p.attrs());
  const auto zero = lite::zero_points_of(p.attrs());
  form.zero_x = zero[0];
  form.zero_w = zero[1];
  form.zero_y = zero[2];
  form.range = lite::range_of(p.attrs(), p.output_dtype(0));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    kernel = transpose_levels<X, W, Sum>(std::move(form));
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

TENON_OP(_LiteTransposeConv) = {
    .inputs = "x: T, filter: W, bias: B, output_shape: int32",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS
             "; W: {int8, uint8}; B: {int32, int64}; strides: list(int); "
             "padding: {'SAME', 'VALID'}; " TENON_LITE_FACTORS,
    .host_inputs = {3},
    .shape = lite_transpose_shape,
    .gradient = not_differentiable,
    .kernels = {make_lite_transpose},
};

TENON_OP(_LiteFullyConnected) = {
    .inputs = "x: T, filter: W, bias: B",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS "; W: {int8, uint8}; B: {int32, int64}; " TENON_LITE_FACTORS,
    .shape = lite_connected_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_lite_connected},
};

}  // namespace tenon
