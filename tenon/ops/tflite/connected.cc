// _LiteFullyConnected, _LiteTransposeConv: filters [out, in] and [out, rows, columns, in].
#include "tenon/ops/tflite/conv_form.h"

namespace tenon {
namespace {

using lite::check_bias;
using lite::check_conv;
using lite::check_filter_size;
using lite::dot_levels;
using lite::for_each_place;
using lite::LiteConvForm;
using lite::pair_of;
using lite::set_factors;
using lite::visit_conv;
using lite::wrapped_sum;

// --- fully connected: [.., in] as rows, [out, in] ---

Status lite_connected_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape& x = c.input(0);
  const PartialShape& w = c.input(1);
  const int64_t out = w.has_rank() ? w[0] : -1;
  TENON_RETURN_IF_ERROR(check_conv(c, out));
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
  set_factors(p, form);
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
  TENON_RETURN_IF_ERROR(check_conv(c, out));
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
    TENON_RETURN_IF_ERROR(check_filter_size(w));
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
    for_each_place(form, [&](int64_t image, int64_t row, int64_t column, int64_t at, int64_t) {
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
  set_factors(p, form);
  Kernel kernel;
  TENON_RETURN_IF_ERROR(visit_conv(p, [&]<class X, class W, class Sum>() {
    kernel = transpose_levels<X, W, Sum>(std::move(form));
  }));
  return kernel;
}

}  // namespace

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
