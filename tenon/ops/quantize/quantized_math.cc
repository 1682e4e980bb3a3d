// QuantizedAdd, QuantizedMul, QuantizedBiasAdd, QuantizedMatMul, QuantizedConv2D, QuantizedMaxPool,
// QuantizedAvgPool: sums and products of levels, whose range follows from those of the inputs.
#include "tenon/base/parallel.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/kernels/pool.h"
#include "tenon/ops/nn/window_geometry.h"
#include "tenon/ops/quantize/quantized.h"

namespace tenon {
namespace {

Status set_result_range(ShapeContext& c) {
  c.set_output(1, Shape());
  c.set_output(2, Shape());
  return absl::OkStatus();
}

// Of a sum: symmetric, and by 2^bits above what is added.
QuantizedLimits limits_of_sum(float min_a, float max_a, float min_b, float max_b, int bits) {
  const float most = std::max(max_a, std::max(-min_a, std::max(max_b, -min_b)));
  return {-std::ldexp(most, bits), std::ldexp(most, bits)};
}

// The levels of A as those of the sum: a whole number of them each. A
// single number is its own: it has no rounding (quantized_add_op.cc).
template <class A>
struct LevelsOfSum {
  int64_t first, step;
  LevelsOfSum(float min, float max, QuantizedLimits sum, const A* single)
      : first(level(single ? *single : A{0}, min, max, sum)),
        step(single ? 0 : level(1, min, max, sum) - first) {}
  int64_t operator()(A x) const { return first + x * step; }
  static int64_t level(A x, float min, float max, QuantizedLimits sum) {
    const int64_t found =
        float_to_quantized_unclamped<int32_t>(quantized_to_float(x, min, max), sum.min, sum.max);
    return std::clamp(found, int64_t{INT32_MIN}, int64_t{INT32_MAX});
  }
};

// The one element of an input; null when it has others.
template <class T>
const T* single(const KernelRun& r, int input) {
  return r.input(input).num_elements() == 1 ? static_cast<const T*>(r.input(input).raw()) : nullptr;
}

Status quantized_binary_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, 2, 4));
  for (int i = 0; i < 2; ++i) {
    if (c.input(i).num_elements() == 0) return invalid_argument("Must have some elements");
  }
  TENON_ASSIGN_OR_RETURN(PartialShape y, broadcast_shapes(c.input(0), c.input(1)));
  c.set_output(0, std::move(y));
  return set_result_range(c);
}

// combine(a, b) of the levels of inputs 0 and 1, broadcast.
template <class A, class B, class Combine>
void combine_levels(const kernels::BroadcastPlan& plan, KernelRun& r, const Combine& combine) {
  const A* a = r.in<A>(0);
  const B* b = r.in<B>(1);
  auto* y = r.out<int32_t>(0);
  kernels::for_each_run(
      plan, [&](const int64_t* offsets, const int64_t* steps, int64_t y_offset, int64_t count) {
        for (int64_t j = 0; j < count; ++j) {
          y[y_offset + j] = combine(a[offsets[0] + j * steps[0]], b[offsets[1] + j * steps[1]]);
        }
      });
}

// Sums of 32 bits that wrap.
int32_t wrapping_sum(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
int32_t wrapped(int64_t x) { return static_cast<int32_t>(static_cast<uint64_t>(x)); }

Status check_ranges(const KernelRun& r, int first) {
  for (int i = first; i < first + 4; i += 2) {
    if (!(limit_at(r, i + 1) > limit_at(r, i))) {
      return invalid_argument("the largest number of input ", i, ", ", limit_at(r, i + 1),
                              ", must be larger than the least, ", limit_at(r, i));
    }
  }
  return absl::OkStatus();
}

template <bool product>
StatusOr<Kernel> make_quantized_binary(Prepare& p) {
  if (p.output_dtype(0) != DType::kQint32) {
    return unimplemented(p.op().name(), " to ", p.output_dtype(0));
  }
  const Shape shapes[] = {p.input_shape(0), p.input_shape(1)};
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class A>() {
    visit_quantized(p.input_dtype(1), [&]<class B>() {
      if (sizeof(A) != 1 || sizeof(B) != 1) return;
      kernel = [plan](KernelRun& r) -> Status {
        TENON_RETURN_IF_ERROR(check_ranges(r, 2));
        const float min_a = limit_at(r, 2), max_a = limit_at(r, 3);
        const float min_b = limit_at(r, 4), max_b = limit_at(r, 5);
        QuantizedLimits y;
        if (product) {
          y = limits_of_product<A, B, int32_t>(min_a, max_a, min_b, max_b);
          const int64_t zero_a = float_to_quantized_unclamped<A>(0, min_a, max_a);
          const int64_t zero_b = float_to_quantized_unclamped<B>(0, min_b, max_b);
          combine_levels<A, B>(plan, r, [&](A a, B b) {
            const auto low = [](int64_t v) { return static_cast<uint64_t>(v); };
            return wrapped(static_cast<int64_t>((low(a) - low(zero_a)) * (low(b) - low(zero_b))));
          });
        } else {
          y = limits_of_sum(min_a, max_a, min_b, max_b, 14);
          const LevelsOfSum<A> of_a(min_a, max_a, y, single<A>(r, 0));
          const LevelsOfSum<B> of_b(min_b, max_b, y, single<B>(r, 1));
          combine_levels<A, B>(plan, r, [&](A a, B b) {
            return static_cast<int32_t>(
                std::clamp(of_a(a) + of_b(b), int64_t{INT32_MIN}, int64_t{INT32_MAX}));
          });
        }
        *r.out<float>(1) = y.min;
        *r.out<float>(2) = y.max;
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " of ", p.input_dtype(0), " and ", p.input_dtype(1));
  }
  return kernel;
}

Status quantized_bias_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, 2, 4));
  TENON_RETURN_IF_ERROR(set_result_range(c));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& x = c.input(0);
  const PartialShape& bias = c.input(1);
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  if (x.has_rank() && bias.has_rank()) {
    const int64_t last = x[x.rank() - 1];
    if (last >= 0 && bias[0] >= 0 && last != bias[0]) {
      return invalid_argument(
          "Must provide as many biases as the last dimension of the input "
          "tensor: ",
          bias, " vs. ", x);
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

StatusOr<Kernel> make_quantized_bias(Prepare& p) {
  if (p.output_dtype(0) != DType::kQint32) {
    return unimplemented("QuantizedBiasAdd to ", p.output_dtype(0));
  }
  const int64_t width = p.input_shape(1)[0], count = p.input_shape(0).num_elements();
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class A>() {
    visit_quantized(p.input_dtype(1), [&]<class B>() {
      kernel = [=](KernelRun& r) {
        const float min_a = limit_at(r, 2), max_a = limit_at(r, 3);
        const float min_b = limit_at(r, 4), max_b = limit_at(r, 5);
        const QuantizedLimits y = limits_of_sum(min_a, max_a, min_b, max_b, 17);
        const Dequantizer<A> of_a(min_a, max_a);
        const Dequantizer<B> of_b(min_b, max_b);
        const Quantizer<int32_t> to(y.min, y.max);
        for (int64_t i = 0; i < count; ++i) {
          r.out<int32_t>(0)[i] =
              wrapping_sum(to(of_a(r.in<A>(0)[i])), to(of_b(r.in<B>(1)[i % width])));
        }
        *r.out<float>(1) = y.min;
        *r.out<float>(2) = y.max;
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

// --- products ---

Status quantized_matmul_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  TENON_RETURN_IF_ERROR(expect_limits(c, 2, 1));
  TENON_RETURN_IF_ERROR(expect_single_limits(c, 3, 3));
  TENON_RETURN_IF_ERROR(set_result_range(c));
  const int at_a = c.attr<bool>("transpose_a") ? 1 : 0, at_b = c.attr<bool>("transpose_b") ? 0 : 1;
  const auto size = [&](int input, int axis) {
    return c.input(input).has_rank() ? c.input(input)[axis] : -1;
  };
  const int64_t inner_a = size(0, 1 - at_a), inner_b = size(1, 1 - at_b);
  if (inner_a >= 0 && inner_b >= 0 && inner_a != inner_b) {
    return invalid_argument("Matrix size-incompatible: In[0]: ", c.input(0),
                            ", In[1]: ", c.input(1));
  }
  c.set_output(0, {size(0, at_a), size(1, at_b)});
  return absl::OkStatus();
}

// Levels less that of 0, multiplied and added in 32 bits that wrap.
StatusOr<Kernel> make_quantized_matmul(Prepare& p) {
  if (p.output_dtype(0) != DType::kQint32) {
    return unimplemented("QuantizedMatMul to ", p.output_dtype(0));
  }
  const bool transpose_a = p.attr<bool>("transpose_a"), transpose_b = p.attr<bool>("transpose_b");
  const Shape& a_shape = p.input_shape(0);
  const int64_t rows = p.output_shape(0)[0], columns = p.output_shape(0)[1];
  const int64_t inner = a_shape[transpose_a ? 0 : 1];
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class A>() {
    visit_quantized(p.input_dtype(1), [&]<class B>() {
      if (sizeof(A) != 1 || sizeof(B) != 1) return;
      kernel = [=](KernelRun& r) -> Status {
        TENON_RETURN_IF_ERROR(check_ranges(r, 2));
        const float min_a = limit_at(r, 2), max_a = limit_at(r, 3);
        const float min_b = limit_at(r, 4), max_b = limit_at(r, 5);
        const int32_t zero_a = wrapped(float_to_quantized_unclamped<A>(0, min_a, max_a));
        const int32_t zero_b = wrapped(float_to_quantized_unclamped<B>(0, min_b, max_b));
        const A* a = r.in<A>(0);
        const B* b = r.in<B>(1);
        int32_t* y = r.out<int32_t>(0);
        parallel_for(rows, 8, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            uint32_t* row = reinterpret_cast<uint32_t*>(y + i * columns);
            std::fill_n(row, columns, 0U);
            for (int64_t k = 0; k < inner; ++k) {
              const auto x = static_cast<uint32_t>(a[transpose_a ? k * rows + i : i * inner + k]) -
                             static_cast<uint32_t>(zero_a);
              for (int64_t j = 0; j < columns; ++j) {
                row[j] +=
                    x * (static_cast<uint32_t>(b[transpose_b ? j * inner + k : k * columns + j]) -
                         static_cast<uint32_t>(zero_b));
              }
            }
          }
        });
        const QuantizedLimits limits = limits_of_product<A, B, int32_t>(min_a, max_a, min_b, max_b);
        *r.out<float>(1) = limits.min;
        *r.out<float>(2) = limits.max;
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) {
    return unimplemented("QuantizedMatMul of ", p.input_dtype(0), " and ", p.input_dtype(1));
  }
  return kernel;
}

// The attributes of the quantised windows, in the form of those of the others.
AttrMap quantized_window_attrs(const AttrMap& attrs) {
  AttrMap completed = attrs;
  completed.set("data_format", std::string("NHWC"));
  completed.set("explicit_paddings", std::vector<int64_t>{});
  return completed;
}

Status quantized_conv_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, 2, 4));
  for (int i = 0; i < 2; ++i) {
    if (c.input(i).num_elements() == 0) return invalid_argument("Shapes dimension cannot be 0.");
  }
  TENON_RETURN_IF_ERROR(set_result_range(c));
  TENON_ASSIGN_OR_RETURN(PartialShape y, conv_output_shape(quantized_window_attrs(c.attrs()),
                                                           c.input(0), c.input(1), false));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// One row of pixels of the result; what lies outside the image is 0, not a level.
template <class A, class B>
void conv_row(const kernels::ConvSpec& s, int64_t image, int64_t row, const A* x, uint32_t zero_x,
              const B* filter, uint32_t zero_filter, uint32_t* y) {
  std::fill_n(y, s.output[1] * s.out_channels, 0U);
  for (int64_t column = 0; column < s.output[1]; ++column, y += s.out_channels) {
    for (int64_t fy = 0; fy < s.kernel[0]; ++fy) {
      const int64_t at_y = row * s.stride[0] + fy * s.dilation[0] - s.pad_before[0];
      if (at_y < 0 || at_y >= s.input[0]) continue;
      for (int64_t fx = 0; fx < s.kernel[1]; ++fx) {
        const int64_t at_x = column * s.stride[1] + fx * s.dilation[1] - s.pad_before[1];
        if (at_x < 0 || at_x >= s.input[1]) continue;
        const A* from = x + ((image * s.input[0] + at_y) * s.input[1] + at_x) * s.in_channels;
        const B* weights = filter + (fy * s.kernel[1] + fx) * s.in_channels * s.out_channels;
        for (int64_t k = 0; k < s.in_channels; ++k, weights += s.out_channels) {
          const uint32_t value = static_cast<uint32_t>(from[k]) - zero_x;
          for (int64_t o = 0; o < s.out_channels; ++o) {
            y[o] += value * (static_cast<uint32_t>(weights[o]) - zero_filter);
          }
        }
      }
    }
  }
}

StatusOr<Kernel> make_quantized_conv(Prepare& p) {
  if (p.output_dtype(0) != DType::kQint32) {
    return unimplemented("QuantizedConv2D to ", p.output_dtype(0));
  }
  TENON_ASSIGN_OR_RETURN(
      const kernels::ConvSpec spec,
      conv_spec(quantized_window_attrs(p.attrs()), p.input_shape(0), p.input_shape(1), false));
  if (spec.groups != 1) return invalid_argument("input and filter must have the same depth");
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class A>() {
    visit_quantized(p.input_dtype(1), [&]<class B>() {
      if (sizeof(A) != 1 || sizeof(B) != 1) return;
      kernel = [spec](KernelRun& r) {
        const float min_a = limit_at(r, 2), max_a = limit_at(r, 3);
        const float min_b = limit_at(r, 4), max_b = limit_at(r, 5);
        const auto zero_a =
            static_cast<uint32_t>(wrapped(float_to_quantized_unclamped<A>(0, min_a, max_a)));
        const auto zero_b =
            static_cast<uint32_t>(wrapped(float_to_quantized_unclamped<B>(0, min_b, max_b)));
        auto* y = reinterpret_cast<uint32_t*>(r.out<int32_t>(0));
        const int64_t row_size = spec.output[1] * spec.out_channels;
        parallel_for(spec.batch * spec.output[0], 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            conv_row(spec, i / spec.output[0], i % spec.output[0], r.in<A>(0), zero_a, r.in<B>(1),
                     zero_b, y + i * row_size);
          }
        });
        const QuantizedLimits limits = limits_of_product<A, B, int32_t>(min_a, max_a, min_b, max_b);
        *r.out<float>(1) = limits.min;
        *r.out<float>(2) = limits.max;
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) {
    return unimplemented("QuantizedConv2D of ", p.input_dtype(0), " and ", p.input_dtype(1));
  }
  return kernel;
}

// --- pooling ---

Status quantized_pool_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, 1, 2));
  TENON_RETURN_IF_ERROR(set_result_range(c));
  TENON_ASSIGN_OR_RETURN(PartialShape y,
                         pool_output_shape(quantized_window_attrs(c.attrs()), c.input(0)));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// The means of windows, towards 0.
template <class T>
void mean_levels(const kernels::PoolSpec& s, const T* x, T* y) {
  for (int64_t image = 0; image < s.batch; ++image) {
    for (int64_t row = 0; row < s.output[0]; ++row) {
      for (int64_t column = 0; column < s.output[1]; ++column) {
        const int64_t top = row * s.stride[0] - s.pad_before[0];
        const int64_t left = column * s.stride[1] - s.pad_before[1];
        const int64_t y0 = std::max<int64_t>(top, 0), y1 = std::min(top + s.window[0], s.input[0]);
        const int64_t x0 = std::max<int64_t>(left, 0);
        const int64_t x1 = std::min(left + s.window[1], s.input[1]);
        for (int64_t c = 0; c < s.channels; ++c) {
          int64_t sum = 0;
          for (int64_t i = y0; i < y1; ++i) {
            for (int64_t j = x0; j < x1; ++j) {
              sum += x[((image * s.input[0] + i) * s.input[1] + j) * s.channels + c];
            }
          }
          const int64_t cells = (y1 - y0) * (x1 - x0);
          *y++ = static_cast<T>(cells > 0 ? sum / cells : 0);
        }
      }
    }
  }
}

template <bool mean>
StatusOr<Kernel> make_quantized_pool(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec,
                         pool_spec(quantized_window_attrs(p.attrs()), p.input_shape(0)));
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      if (mean) {
        mean_levels<T>(spec, r.in<T>(0), r.out<T>(0));
      } else {
        kernels::max_pool<T>(spec, r.in<T>(0), r.out<T>(0));
      }
      *r.out<float>(1) = limit_at(r, 1);
      *r.out<float>(2) = limit_at(r, 2);
      return absl::OkStatus();
    };
  });
  return kernel;
}

constexpr OpDecl quantized_pool(KernelFactory factory) {
  return {
      .inputs = "input: T, min_input: float, max_input: float",
      .outputs = "output: T, min_output: float, max_output: float",
      .attrs =
          "T: {qint8, quint8, qint32, qint16, quint16}; ksize: list(int); strides: list(int); "
          "padding: {'SAME', 'VALID'}",
      .shape = quantized_pool_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

constexpr OpDecl quantized_binary(KernelFactory factory) {
  return {
      .inputs = "x: T1, y: T2, min_x: float, max_x: float, min_y: float, max_y: float",
      .outputs = "z: Toutput, min_z: float, max_z: float",
      .attrs =
          "T1: {qint8, quint8, qint32, qint16, quint16}; T2: {qint8, quint8, qint32, qint16, "
          "quint16}; Toutput: {qint8, quint8, qint32, qint16, quint16} = qint32",
      .shape = quantized_binary_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(QuantizedAdd) = quantized_binary(make_quantized_binary<false>);
TENON_OP(QuantizedMul) = quantized_binary(make_quantized_binary<true>);
TENON_OP(QuantizedBiasAdd) = {
    .inputs =
        "input: T1, bias: T2, min_input: float, max_input: float, min_bias: float, "
        "max_bias: float",
    .outputs = "output: out_type, min_out: float, max_out: float",
    .attrs =
        "T1: {qint8, quint8, qint32, qint16, quint16}; T2: {qint8, quint8, qint32, qint16, "
        "quint16}; out_type: {qint8, quint8, qint32, qint16, quint16}",
    .shape = quantized_bias_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_bias},
};
TENON_OP(QuantizedMatMul) = {
    .inputs = "a: T1, b: T2, min_a: float, max_a: float, min_b: float, max_b: float",
    .outputs = "out: Toutput, min_out: float, max_out: float",
    .attrs =
        "T1: {qint8, quint8, qint32, qint16, quint16}; T2: {qint8, quint8, qint32, qint16, "
        "quint16}; Toutput: {qint8, quint8, qint32, qint16, quint16} = qint32; "
        "transpose_a: bool = false; transpose_b: bool = false; Tactivation: {qint8, quint8, "
        "qint32, qint16, quint16} = quint8",
    .shape = quantized_matmul_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_matmul},
};
TENON_OP(QuantizedConv2D) = {
    .inputs =
        "input: Tinput, filter: Tfilter, min_input: float, max_input: float, "
        "min_filter: float, max_filter: float",
    .outputs = "output: out_type, min_output: float, max_output: float",
    .attrs =
        "Tinput: {qint8, quint8, qint32, qint16, quint16}; Tfilter: {qint8, quint8, qint32, "
        "qint16, quint16}; out_type: {qint8, quint8, qint32, qint16, quint16} = qint32; "
        "strides: list(int); padding: {'SAME', 'VALID'}; dilations: list(int) = [1, 1, 1, 1]",
    .shape = quantized_conv_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_conv},
};
TENON_OP(QuantizedMaxPool) = quantized_pool(make_quantized_pool<false>);
TENON_OP(QuantizedAvgPool) = quantized_pool(make_quantized_pool<true>);

}  // namespace tenon
