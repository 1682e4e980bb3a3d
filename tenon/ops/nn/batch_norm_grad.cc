// FusedBatchNormGrad, V2, V3: gradients of batch normalisation.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/norm.h"
#include "tenon/ops/nn/batch_norm_layout.h"

namespace tenon {
namespace {

// Outputs: x's, scale's and offset's gradient, and two that are empty.
Status batch_norm_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const int64_t channels, batch_norm_channels(c, 1, 2, 4));
  TENON_ASSIGN_OR_RETURN(PartialShape shape, PartialShape::merge(c.input(0), c.input(1)));
  c.set_output(0, std::move(shape));
  for (int i = 1; i < 3; ++i) c.set_output(i, {channels});
  for (int i = 3; i < 5; ++i) c.set_output(i, Shape{0});
  return absl::OkStatus();
}

// What of dy a Relu with the result `y` lets through, in float32, at `passed`.
void load_passed(const BatchNormLayout& layout, const Tensor& dy, const Tensor& y, float* passed) {
  const float* all = load_rows(layout, dy, passed);
  visit<FloatTypes>(y.dtype(), [&]<class T>() {
    const T* values = y.data<T>();
    for (int64_t i = 0; i < layout.elements(); ++i) {
      passed[i] = static_cast<float>(values[i]) > 0 ? all[i] : 0;
    }
  });
}

struct BatchNormBackward {
  BatchNormLayout layout;
  float epsilon;
  bool training;
  int relu = -1, bias = -1;  // inputs; -1: there is none
};

void run_batch_norm_grad(const BatchNormBackward& op, KernelRun& r) {
  const BatchNormLayout& layout = op.layout;
  if (layout.rows() == 0) {
    for (int i : {1, 2}) std::fill_n(r.out<float>(i), layout.channels, 0.0f);
    return;
  }
  float* const factors = r.scratch<float>();
  float* const of_dy = factors + kernels::batch_norm_factors(layout.channels);
  float* const of_x = of_dy + layout.elements();
  float* const of_dx = of_x + layout.elements();
  if (op.relu >= 0) load_passed(layout, r.input(0), r.input(op.relu), of_dy);
  const float* dy = op.relu >= 0 ? of_dy : load_rows(layout, r.input(0), of_dy);
  const Tensor* bias = op.bias >= 0 ? &r.input(op.bias) : nullptr;
  const float* x = load_shifted_rows(layout, r.input(1), bias, of_x);
  float* dx = layout.direct() ? r.out<float>(0) : of_dx;
  const auto gradient =
      op.training ? kernels::batch_norm_training_gradient : kernels::batch_norm_inference_gradient;
  gradient(
      {layout.rows(), layout.channels, op.epsilon, r.in<float>(2), r.in<float>(3), r.in<float>(4)},
      dy, x, dx, r.out<float>(1), r.out<float>(2), factors);
  if (!layout.direct()) store_rows(layout, dx, r.output(0));
}

StatusOr<Kernel> make_batch_norm_grad(Prepare& p) {
  const BatchNormBackward op{batch_norm_layout(p.attrs(), p.input_shape(1), p.input_dtype(1)),
                             p.attr<float>("epsilon"), p.attr<bool>("is_training")};
  p.reserve_scratch(batch_norm_scratch(op.layout, 3));
  return Kernel([op](KernelRun& r) {
    run_batch_norm_grad(op, r);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_batch_norm_grad_ex(Prepare& p) {
  BatchNormBackward op{batch_norm_layout(p.attrs(), p.input_shape(1), p.input_dtype(1)),
                       p.attr<float>("epsilon"), p.attr<bool>("is_training")};
  const int relus = static_cast<int>(p.attr<int64_t>("num_relus"));
  const int biases = static_cast<int>(p.attr<int64_t>("num_biases"));
  if (relus > 1 || biases > 1) return unimplemented("more than one Relu or bias");
  if (relus > 0) op.relu = 7;
  if (biases > 0) op.bias = 7 + relus;
  p.reserve_scratch(batch_norm_scratch(op.layout, 0) +
                    3 * static_cast<size_t>(op.layout.elements()) * sizeof(float));
  return Kernel([op](KernelRun& r) {
    run_batch_norm_grad(op, r);
    return absl::OkStatus();
  });
}

Status batch_norm_grad_gradient(Gradient&) {
  return unimplemented("the second gradient of batch normalisation");
}

}  // namespace

TENON_OP(FusedBatchNormGrad) = {
    .inputs = "y_backprop: T, x: T, scale: T, reserve_space_1: T, reserve_space_2: T",
    .outputs =
        "x_backprop: T, scale_backprop: T, offset_backprop: T, reserve_space_3: T, "
        "reserve_space_4: T",
    .attrs =
        "T: {float}; epsilon: float = 0.0001; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
        "is_training: bool = true",
    .shape = batch_norm_grad_shape,
    .gradient = batch_norm_grad_gradient,
    .kernels = {make_batch_norm_grad},
};

TENON_OP(FusedBatchNormGradV2) = {
    .inputs = "y_backprop: T, x: T, scale: float, reserve_space_1: U, reserve_space_2: U",
    .outputs =
        "x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_3: U, "
        "reserve_space_4: U",
    .attrs =
        "T: {half, bfloat16, float}; U: {float}; epsilon: float = 0.0001; "
        "data_format: {'NHWC', 'NCHW'} = 'NHWC'; is_training: bool = true",
    .shape = batch_norm_grad_shape,
    .gradient = batch_norm_grad_gradient,
    .kernels = {make_batch_norm_grad},
};

TENON_OP(FusedBatchNormGradV3) = {
    .inputs =
        "y_backprop: T, x: T, scale: float, reserve_space_1: U, reserve_space_2: U, "
        "reserve_space_3: U",
    .outputs =
        "x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_4: U, "
        "reserve_space_5: U",
    .attrs =
        "T: {half, bfloat16, float}; U: {float}; epsilon: float = 0.0001; "
        "data_format: {'NHWC', 'NCHW', 'NDHWC', 'NCDHW'} = 'NHWC'; is_training: bool = true",
    .shape = batch_norm_grad_shape,
    .gradient = batch_norm_grad_gradient,
    .kernels = {make_batch_norm_grad},
};

// Of a normalisation with a Relu behind it, whose result is `y`, or with a bias before it. With no
// Relu nobody reads `offset`.
TENON_OP(_FusedBatchNormGradEx) = {
    .inputs =
        "y_backprop: T, x: T, scale: float, reserve_space_1: U, reserve_space_2: U, "
        "reserve_space_3: U, offset: float, y: num_relus * T, bias: num_biases * T",
    .outputs =
        "x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_4: U, "
        "reserve_space_5: U",
    .attrs =
        "T: {half, bfloat16, float}; U: {float}; epsilon: float = 0.0001; "
        "num_relus: int >= 0 = 0; num_biases: int >= 0 = 0; data_format: {'NHWC'} = 'NHWC'; "
        "is_training: bool = true",
    .shape = batch_norm_grad_shape,
    .gradient = batch_norm_grad_gradient,
    .kernels = {make_batch_norm_grad_ex},
};

}  // namespace tenon
