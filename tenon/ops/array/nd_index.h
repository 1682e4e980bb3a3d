// Slices of a tensor named by vectors of indices: what GatherNd, ScatterNd and TensorScatter share.
#pragma once

#include "tenon/core/shape_context.h"

namespace tenon {

// What to do with an index outside the tensor: attribute bad_indices_policy.
enum class BadIndex : uint8_t { kError, kIgnore };
StatusOr<BadIndex> bad_index_policy(const AttrMap& attrs);
// indices [..., depth] name slices of the first `depth` axes of a tensor.
struct NdLayout {
  int64_t slices = 0;                  // how many are named
  int64_t inner = 1;                   // elements of a slice
  std::vector<int64_t> dims, strides;  // of the first `depth` axes; strides in slices

  NdLayout(const Shape& tensor, const Shape& indices);

  // Number of the slice at `index`, -1 when it is outside.
  template <class Index>
  int64_t slice_at(const Index* index) const {
    int64_t slice = 0;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (index[i] < 0 || index[i] >= dims[i]) return -1;
      slice += index[i] * strides[i];
    }
    return slice;
  }
};

template <class Index>
Status outside_params(int64_t position, const Index* index, const NdLayout& layout) {
  return invalid_argument("indices[", position, "] = [",
                          join(std::span(index, layout.dims.size()), ", "),
                          "] does not index into param shape whose first dimensions are [",
                          join(layout.dims, ","), "]");
}

using NdIndexTypes = TypeList<int16_t, uint16_t, int32_t, int64_t>;

// INVALID_ARGUMENT unless `updates` are slices of `tensor`, one for each row of `indices`.
Status check_nd_updates(const PartialShape& tensor, const PartialShape& indices,
                        const PartialShape& updates);

}  // namespace tenon
