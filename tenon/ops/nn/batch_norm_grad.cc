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

StatusOr<Kernel> make_batch_norm_grad(Prepare& p) {
  const BatchNormLayout layout = batch_norm_layout(p.attrs(), p.input_shape(1), p.input_dtype(1));
  const auto gradient = p.attr<bool>("is_training") ? kernels::batch_norm_training_gradient
                                                    : kernels::batch_norm_inference_gradient;
  p.reserve_scratch(batch_norm_scratch(layout, 3));
  return Kernel([layout, gradient, epsilon = p.attr<float>("epsilon")](KernelRun& r) {
    if (layout.rows() == 0) {
      for (int i : {1, 2}) std::fill_n(r.out<float>(i), layout.channels, 0.0f);
      return absl::OkStatus();
    }
    float* const factors = r.scratch<float>();
    float* const scratch = factors + kernels::batch_norm_factors(layout.channels);
    const int64_t elements = layout.elements();
    const float* dy = load_rows(layout, r.input(0), scratch);
    const float* x = load_rows(layout, r.input(1), scratch + elements);
    float* dx = layout.direct() ? r.out<float>(0) : scratch + 2 * elements;
    gradient(
        {layout.rows(), layout.channels, epsilon, r.in<float>(2), r.in<float>(3), r.in<float>(4)},
        dy, x, dx, r.out<float>(1), r.out<float>(2), factors);
    if (!layout.direct()) store_rows(layout, dx, r.output(0));
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

}  // namespace tenon
