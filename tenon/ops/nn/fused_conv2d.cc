// _FusedConv2D and _FusedDepthwiseConv2dNative: a convolution with bias, residual and activation.
// Made by a pass; attributes as those of _FusedConv2D in TensorFlow's registry
// (tensorflow/core/ops/nn_ops.cc), without its host_args.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/conv_kernel.h"
#include "tenon/ops/nn/post_ops.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

template <bool kDepthwise>
Status fused_conv2d_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape,
                         conv_output_shape(c.attrs(), c.input(0), c.input(1), kDepthwise));
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(c.attrs()));
  return fused_post_ops_shape(c, std::move(shape), window.channel_axis());
}

template <bool kDepthwise>
StatusOr<Kernel> make_fused_conv2d(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const FusedPostOps fused, fused_post_ops(p.attrs(), p.num_inputs()));
  return make_conv_kernel(p, kDepthwise, fused.post, {fused.bias, fused.residual});
}

template <bool kDepthwise>
constexpr OpDecl kFusedConv2D = {
    .inputs = "input: T, filter: T, args: TArgs",
    .outputs = "output: T",
    .attrs =
        "T: {half, float, double}; TArgs: list(type) >= 0; num_args: int >= 0; "
        "strides: list(int); "
        "padding: {'SAME', 'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; "
        "data_format: {'NHWC', 'NCHW'} = 'NHWC'; dilations: list(int) = [1, 1, 1, 1]; "
        "use_cudnn_on_gpu: bool = true; fused_ops: list(string) = []; "
        "epsilon: float = 0.0001; leakyrelu_alpha: float = 0.2",
    .shape = fused_conv2d_shape<kDepthwise>,
    .rows = Rows::kIndependent,
    .gradient = [](Gradient&) { return internal("gradients are taken before ops are fused"); },
    .kernels = {make_fused_conv2d<kDepthwise>},
};

}  // namespace

TENON_OP(_FusedConv2D) = kFusedConv2D<false>;
TENON_OP(_FusedDepthwiseConv2dNative) = kFusedConv2D<true>;

}  // namespace tenon
