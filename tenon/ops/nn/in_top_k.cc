// InTopK and InTopKV2: is the target among the k largest predictions of its row?
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status in_top_k_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  if (c.num_inputs() > 2) TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  const int64_t rows = c.input(0).has_rank() ? c.input(0)[0] : -1;
  const int64_t targets = c.input(1).has_rank() ? c.input(1)[0] : -1;
  if (rows >= 0 && targets >= 0 && rows != targets) {
    return invalid_argument("there are ", targets, " targets for predictions of shape ",
                            c.input(0));
  }
  c.set_output(0, {rows >= 0 ? rows : targets});
  return absl::OkStatus();
}

// Ties at the boundary all count; a row whose target is outside or not finite has no hit
// (tensorflow/core/kernels/in_topk_op.h).
bool in_top_k(const float* row, int64_t classes, int64_t target, int64_t k) {
  if (target < 0 || target >= classes || !std::isfinite(row[target])) return false;
  int64_t larger = 0;
  for (int64_t i = 0; i < classes; ++i) {
    if (!std::isfinite(row[i])) return false;
    larger += row[i] > row[target];
  }
  return larger < k;
}

StatusOr<Kernel> make_in_top_k(Prepare& p) {
  const int64_t rows = p.input_shape(0)[0];
  const int64_t classes = p.input_shape(0)[1];
  const int64_t fixed = p.num_inputs() > 2 ? 0 : p.attr<int64_t>("k");
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
    kernel = [rows, classes, fixed](KernelRun& r) {
      const int64_t k = r.num_inputs() > 2 ? int64_t{*r.in<Index>(2)} : fixed;
      for (int64_t row = 0; row < rows; ++row) {
        r.out<bool>(0)[row] =
            in_top_k(r.in<float>(0) + row * classes, classes, r.in<Index>(1)[row], k);
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(InTopK) = {
    .inputs = "predictions: float, targets: T",
    .outputs = "precision: bool",
    .attrs = "k: int; T: {int32, int64} = int32",
    .shape = in_top_k_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_in_top_k},
};

TENON_OP(InTopKV2) = {
    .inputs = "predictions: float, targets: T, k: T",
    .outputs = "precision: bool",
    .attrs = "T: {int32, int64} = int32",
    .shape = in_top_k_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_in_top_k},
};

}  // namespace tenon
