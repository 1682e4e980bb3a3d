// BiasAdd, BiasAddV1, BiasAddGrad: one value for each channel.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/bias.h"
#include "tenon/kernels/reduce.h"

namespace tenon {
namespace {

// Those with a kernel of their own; the others are few values and go by a plain loop.
using BiasTypes = TypeList<float, double, float16, bfloat16, int32_t, int64_t>;
using RareBiasTypes = TypeList<int8_t, int16_t, uint8_t, uint16_t, uint32_t, uint64_t,
                               std::complex<float>, std::complex<double>>;

// [outer, channels, inner]: inner is 1 for channels-last.
struct BiasLayout {
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
};

int bias_channel_axis(const AttrMap& attrs, int rank) {
  return attrs.get_or<std::string>("data_format", "NHWC") == "NCHW" ? 1 : rank - 1;
}

BiasLayout bias_layout(const AttrMap& attrs, const Shape& shape) {
  const int axis = bias_channel_axis(attrs, shape.rank());
  return {shape.product(0, axis), shape[axis], shape.product(axis + 1, shape.rank())};
}

Status bias_add_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  PartialShape value = c.input(0);
  const PartialShape& bias = c.input(1);
  if (value.has_rank() && bias.has_rank() && bias[0] >= 0) {
    const int axis = bias_channel_axis(c.attrs(), value.rank());
    if (value[axis] >= 0 && value[axis] != bias[0]) {
      return invalid_argument("the bias has ", bias[0], " elements, the input of shape ", value,
                              " has ", value[axis], " channels");
    }
    value.set(axis, bias[0]);
  }
  c.set_output(0, std::move(value));
  return absl::OkStatus();
}

Status bias_add_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  const PartialShape& dy = c.input(0);
  c.set_output(0, {dy.has_rank() ? dy[bias_channel_axis(c.attrs(), dy.rank())] : -1});
  return absl::OkStatus();
}

// Channels first: rows of `inner` elements get one value each.
template <class T>
Status add_bias_channels_first(const BiasLayout& layout, const T* x, const T* bias, T* y) {
  for (int64_t row = 0; row < layout.outer * layout.channels; ++row) {
    const T value = bias[row % layout.channels];
    for (int64_t i = 0; i < layout.inner; ++i) {
      y[row * layout.inner + i] = static_cast<T>(x[row * layout.inner + i] + value);
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_bias_add(Prepare& p) {
  const BiasLayout layout = bias_layout(p.attrs(), p.input_shape(0));
  p.may_overwrite(0, 0);
  Kernel kernel;
  if (!visit<BiasTypes>(p.input_dtype(0), [&]<class T>() {
        kernel = [layout](KernelRun& r) {
          if (layout.inner != 1) {
            return add_bias_channels_first<T>(layout, r.in<T>(0), r.in<T>(1), r.out<T>(0));
          }
          kernels::bias_add<T>(layout.outer, layout.channels, r.in<T>(0), r.in<T>(1), r.out<T>(0));
          return absl::OkStatus();
        };
      })) {
    visit<RareBiasTypes>(p.input_dtype(0), [&]<class T>() {
      kernel = [layout](KernelRun& r) {
        return add_bias_channels_first<T>(layout, r.in<T>(0), r.in<T>(1), r.out<T>(0));
      };
    });
  }
  if (!kernel) return unimplemented("a bias of dtype ", p.input_dtype(0));
  return kernel;
}

// Channels last sums columns; channels first is a sum over two axes.
StatusOr<Kernel> make_bias_add_grad(Prepare& p) {
  const BiasLayout layout = bias_layout(p.attrs(), p.input_shape(0));
  const bool reduced[] = {true, false, true};
  const kernels::ReducePlan plan = kernels::plan_reduce(
      Shape{layout.outer, layout.channels, layout.inner}, std::span<const bool>(reduced));
  const DType dtype = p.input_dtype(0);
  if (!is_floating(dtype) && !is_integer(dtype) && !is_complex(dtype)) {
    return unimplemented("a bias of dtype ", dtype);
  }
  return Kernel([plan, dtype](KernelRun& r) {
    kernels::reduce(kernels::ReduceOp::kSum, dtype, plan, r.input(0).raw(),
                    r.output(0).mutable_raw());
    return absl::OkStatus();
  });
}

Status bias_add_gradient(Gradient& g) {
  g.set_dx(0, g.dy());
  g.set_dx(1, g.build().op(
                  "BiasAddGrad", {g.dy()},
                  {{"data_format", g.forward().attrs.get_or<std::string>("data_format", "NHWC")}}));
  return absl::OkStatus();
}

// tensorflow/python/ops/nn_grad.py, _BiasAddGradGrad: the bias' gradient spread over the channels.
Status bias_add_grad_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const std::string& format = g.attr<std::string>("data_format");
  const Endpoint zeros = b.zeros_like(g.input(0));
  g.set_dx(0, b.op("BiasAdd", {zeros, g.dy()}, {{"data_format", format}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(BiasAdd) = {
    .inputs = "value: T, bias: T",
    .outputs = "output: T",
    .attrs =
        "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; "
        "data_format: {'NHWC', 'NCHW'} = 'NHWC'",
    .shape = bias_add_shape,
    .rows = Rows::kIndependent,
    .gradient = bias_add_gradient,
    .loop = kernels::BinaryOp::kAdd,
    .kernels = {make_bias_add},
};

TENON_OP(BiasAddV1) = {
    .inputs = "value: T, bias: T",
    .outputs = "output: T",
    .attrs = "T: {real, complex, qint8, quint8, qint32, qint16, quint16}",
    .shape = bias_add_shape,
    .rows = Rows::kIndependent,
    .gradient = bias_add_gradient,
    .loop = kernels::BinaryOp::kAdd,
    .kernels = {make_bias_add},
};

TENON_OP(BiasAddGrad) = {
    .inputs = "out_backprop: T",
    .outputs = "output: T",
    .attrs =
        "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; "
        "data_format: {'NHWC', 'NCHW'} = 'NHWC'",
    .shape = bias_add_grad_shape,
    .gradient = bias_add_grad_gradient,
    .kernels = {make_bias_add_grad},
};

}  // namespace tenon
