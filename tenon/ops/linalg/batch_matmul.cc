// BatchMatMul, V2, V3: matrix products over the last two dimensions; V2 and V3 broadcast the
// others.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/linalg/matmul_kernel.h"
#include "tenon/ops/linalg/matmul_shape.h"

namespace tenon {
namespace {

Status batch_matmul_v2_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(
      PartialShape shape,
      batch_matmul_shape(c.input(0), c.input(1), c.attr<bool>("adj_x"), c.attr<bool>("adj_y")));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// The first version does not broadcast.
Status batch_matmul_v1_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const PartialShape& y = c.input(1);
  if (x.has_rank() && y.has_rank()) {
    if (x.rank() != y.rank()) {
      return invalid_argument("the inputs must have the same rank, their shapes are ", x, " and ",
                              y);
    }
    for (int axis = 0; axis + 2 < x.rank(); ++axis) {
      if (x[axis] >= 0 && y[axis] >= 0 && x[axis] != y[axis]) {
        return invalid_argument("batch dimension ", axis, " differs: ", x, " and ", y);
      }
    }
  }
  return batch_matmul_v2_shape(c);
}

StatusOr<Kernel> make_batch_matmul(Prepare& p) {
  return make_adjoint_matmul_kernel(p, p.attr<bool>("adj_x"), p.attr<bool>("adj_y"));
}

// tensorflow/python/ops/math_grad.py, _BatchMatMulV2: the adjoints of both, then broadcast
// dimensions are summed away. `name` is the op itself: the versions differentiate into themselves.
Status batch_matmul_gradient(Gradient& g) {
  const bool ax = g.attr<bool>("adj_x");
  const bool ay = g.attr<bool>("adj_y");
  GraphBuilder& b = g.build();
  const std::string name = g.forward().op->name();
  const DType dtype = b.dtype(g.output(0));
  const auto product = [&](Endpoint left, Endpoint right, bool adjoint_left, bool adjoint_right) {
    AttrMap attrs{{"adj_x", adjoint_left}, {"adj_y", adjoint_right}};
    if (name == "BatchMatMulV3") attrs.set("Tout", dtype);
    return b.op(name, {left, right}, std::move(attrs));
  };
  const Endpoint x = g.input(0), y = g.input(1), dy = g.dy();
  const Endpoint dx = ax ? product(y, dy, ay, true) : product(dy, y, false, !ay);
  const Endpoint dw = ay ? product(dy, x, true, ax) : product(x, dy, !ax, false);
  if (name == "BatchMatMul") {
    g.set_dx(0, dx);
    g.set_dx(1, dw);
  } else {
    g.set_dx_broadcast(0, dx);
    g.set_dx_broadcast(1, dw);
  }
  return absl::OkStatus();
}

// Each side is a batch of matrices, or the same for all rows; or rows of a matrix times one matrix.
Rows batch_matmul_rows(const ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const PartialShape& y = c.input(1);
  if (!x.has_rank() || !y.has_rank()) return Rows::kMixed;
  const int rank = std::max(x.rank(), y.rank());
  const auto batch_or_shared = [&](const PartialShape& side) {
    return !has_unknown_rows(side) || (side.rank() == rank && rank > 2);
  };
  const bool one_matrix = rank == 2 && !c.attr<bool>("adj_x") && !has_unknown_rows(y);
  return one_matrix || (batch_or_shared(x) && batch_or_shared(y)) ? Rows::kIndependent
                                                                  : Rows::kMixed;
}

}  // namespace

TENON_OP(BatchMatMul) = {
    .inputs = "x: T, y: T",
    .outputs = "output: T",
    .attrs =
        "T: {floating, complex, int32, int64}; adj_x: bool = false; adj_y: bool = false; "
        "grad_x: bool = false; grad_y: bool = false",
    .shape = batch_matmul_v1_shape,
    .rows = batch_matmul_rows,
    .gradient = batch_matmul_gradient,
    .kernels = {make_batch_matmul},
};

TENON_OP(BatchMatMulV2) = {
    .inputs = "x: T, y: T",
    .outputs = "output: T",
    .attrs =
        "T: {floating, complex, int16, int32, int64, uint8, uint16, uint32, uint64}; "
        "adj_x: bool = false; adj_y: bool = false; "
        "grad_x: bool = false; grad_y: bool = false",
    .shape = batch_matmul_v2_shape,
    .rows = batch_matmul_rows,
    .gradient = batch_matmul_gradient,
    .kernels = {make_batch_matmul},
};

TENON_OP(BatchMatMulV3) = {
    .inputs = "x: Ta, y: Tb",
    .outputs = "output: Tout",
    .attrs =
        "Ta: {floating, complex, uint8, int8, int16, int32, int64}; "
        "Tb: {floating, complex, uint8, int8, int16, int32, int64}; "
        "Tout: {floating, complex, int16, int32, int64}; "
        "adj_x: bool = false; adj_y: bool = false; "
        "grad_x: bool = false; grad_y: bool = false",
    .shape = batch_matmul_v2_shape,
    .rows = batch_matmul_rows,
    .gradient = batch_matmul_gradient,
    .kernels = {make_batch_matmul},
};

}  // namespace tenon
