#include "tenon/ops/linalg/matmul_shape.h"

namespace tenon {

StatusOr<PartialShape> matmul_output_shape(const AttrMap& attrs, const PartialShape& a,
                                           const PartialShape& b) {
  for (int i : {0, 1}) {
    const PartialShape& side = i == 0 ? a : b;
    if (!side.has_rank() || side.rank() == 2) continue;
    return invalid_argument("input ", i, " must have rank 2, its shape is ", side);
  }
  const PartialShape unknown = PartialShape::unknown_of_rank(2);
  return batch_matmul_shape(a.has_rank() ? a : unknown, b.has_rank() ? b : unknown,
                            attrs.get<bool>("transpose_a"), attrs.get<bool>("transpose_b"));
}

Status matmul_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape,
                         matmul_output_shape(c.attrs(), c.input(0), c.input(1)));
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
