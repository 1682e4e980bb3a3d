// The kernels behind MatMul, BatchMatMul and _FusedMatMul.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/kernels/matmul.h"

namespace tenon {

// Input indices of a product's operands; -1: none.
struct MatMulInputs {
  int a = 0;
  int b = 1;
  int bias = -1;
  int residual = -1;
};

// y = op(a) op(b) over the last two dimensions, batch dimensions broadcast, with `post` applied.
// Float32 takes the tuned kernel, with packed weights where b is frozen; the other dtypes the plain
// loops, which take no `post` (UNIMPLEMENTED). The shape function has checked the shapes.
StatusOr<Kernel> make_matmul_kernel(Prepare& p, const MatMulInputs& inputs, bool transpose_a,
                                    bool transpose_b, const kernels::PostOps& post = {});

// The same for "adjoint" operands: complex ones are conjugated too where they are transposed.
StatusOr<Kernel> make_adjoint_matmul_kernel(Prepare& p, bool adjoint_a, bool adjoint_b);

}  // namespace tenon
