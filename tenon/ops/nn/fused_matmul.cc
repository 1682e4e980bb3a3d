// _FusedMatMul: a matrix product with bias, residual and activation. Made by a pass; attributes as
// in TensorFlow's registry (tensorflow/core/ops/math_ops.cc).
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/linalg/matmul_kernel.h"
#include "tenon/ops/linalg/matmul_shape.h"
#include "tenon/ops/nn/post_ops.h"

namespace tenon {
namespace {

Status fused_matmul_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape,
                         matmul_output_shape(c.attrs(), c.input(0), c.input(1)));
  return fused_post_ops_shape(c, std::move(shape), 1);
}

StatusOr<Kernel> make_fused_matmul(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const FusedPostOps fused, fused_post_ops(p.attrs(), p.num_inputs()));
  return make_matmul_kernel(p, {.bias = fused.bias, .residual = fused.residual},
                            p.attr<bool>("transpose_a"), p.attr<bool>("transpose_b"), fused.post);
}

}  // namespace

TENON_OP(_FusedMatMul) = {
    .inputs = "a: T, b: T, args: num_args * T",
    .outputs = "product: T",
    .attrs =
        "transpose_a: bool = false; transpose_b: bool = false; "
        "T: {bfloat16, half, float}; num_args: int >= 0; fused_ops: list(string) = []; "
        "epsilon: float = 0.0001; leakyrelu_alpha: float = 0.2",
    .shape = fused_matmul_shape,
    .rows = matmul_rows,
    .gradient = [](Gradient&) { return internal("gradients are taken before ops are fused"); },
    .kernels = {make_fused_matmul},
};

}  // namespace tenon
