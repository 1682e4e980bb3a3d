// MatMul: the product of two matrices.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/linalg/matmul_kernel.h"
#include "tenon/ops/linalg/matmul_shape.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_matmul(Prepare& p) {
  return make_matmul_kernel(p, {}, p.attr<bool>("transpose_a"), p.attr<bool>("transpose_b"));
}

// tensorflow/python/ops/math_grad.py, _MatMulGrad.
Status matmul_gradient(Gradient& g) {
  const bool ta = g.attr<bool>("transpose_a");
  const bool tb = g.attr<bool>("transpose_b");
  GraphBuilder& b = g.build();
  const bool complex = is_complex(g.input_dtype(0));
  const Endpoint x = complex ? b.op("Conj", {g.input(0)}) : g.input(0);
  const Endpoint y = complex ? b.op("Conj", {g.input(1)}) : g.input(1);
  const Endpoint dy = g.dy();
  g.set_dx(0, ta ? b.matmul(y, dy, tb, true) : b.matmul(dy, y, false, !tb));
  g.set_dx(1, tb ? b.matmul(dy, x, true, ta) : b.matmul(x, dy, !ta, false));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MatMul) = {
    .inputs = "a: T, b: T",
    .outputs = "product: T",
    .attrs =
        "transpose_a: bool = false; transpose_b: bool = false; "
        "T: {floating, complex, int32, int64, uint8, uint16, uint32, uint64}; "
        "grad_a: bool = false; grad_b: bool = false",
    .shape = matmul_shape,
    .rows = matmul_rows,
    .gradient = matmul_gradient,
    .kernels = {make_matmul},
};

}  // namespace tenon
