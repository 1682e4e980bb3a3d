#include "tenon/ops/linalg/matmul_shape.h"

namespace tenon {

Status matmul_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape unknown = PartialShape::unknown_of_rank(2);
  TENON_ASSIGN_OR_RETURN(
      PartialShape shape,
      batch_matmul_shape(c.input(0).has_rank() ? c.input(0) : unknown,
                         c.input(1).has_rank() ? c.input(1) : unknown, c.attr<bool>("transpose_a"),
                         c.attr<bool>("transpose_b")));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

Rows matmul_rows(const ShapeContext& c) {
  const PartialShape& b = c.input(1);
  const bool apart = !c.attr<bool>("transpose_a") && b.has_rank() && !has_unknown_rows(b);
  return apart ? Rows::kIndependent : Rows::kMixed;
}

StatusOr<PartialShape> batch_matmul_shape(const PartialShape& a, const PartialShape& b,
                                          bool transpose_a, bool transpose_b) {
  for (const PartialShape* side : {&a, &b}) {
    if (side->has_rank() && side->rank() < 2) {
      return invalid_argument("a matrix product needs inputs of rank 2 or more, one has shape ",
                              *side);
    }
  }
  if (!a.has_rank() || !b.has_rank()) return PartialShape();
  const int ra = a.rank(), rb = b.rank();
  const int64_t m = a[transpose_a ? ra - 1 : ra - 2];
  const int64_t ka = a[transpose_a ? ra - 2 : ra - 1];
  const int64_t kb = b[transpose_b ? rb - 1 : rb - 2];
  const int64_t n = b[transpose_b ? rb - 2 : rb - 1];
  if (ka >= 0 && kb >= 0 && ka != kb) {
    return invalid_argument("Matrix size-incompatible: In[0]: ", a, ", In[1]: ", b,
                            transpose_a || transpose_b ? " (transposed)" : "");
  }
  TENON_ASSIGN_OR_RETURN(
      PartialShape batch,
      broadcast_shapes(PartialShape(a.dims().first(static_cast<size_t>(ra - 2))),
                       PartialShape(b.dims().first(static_cast<size_t>(rb - 2)))));
  std::vector<int64_t> dims(batch.dims().begin(), batch.dims().end());
  dims.push_back(m);
  dims.push_back(n);
  return PartialShape(std::span<const int64_t>(dims));
}

}  // namespace tenon
