#include "tenon/ops/array/nd_index.h"

namespace tenon {

StatusOr<BadIndex> bad_index_policy(const AttrMap& attrs) {
  const auto& policy = attrs.get<std::string>("bad_indices_policy");
  if (policy == "IGNORE") return BadIndex::kIgnore;
  if (policy.empty() || policy == "DEFAULT" || policy == "ERROR") return BadIndex::kError;
  return invalid_argument("bad_indices_policy is '", policy, "', ERROR or IGNORE is possible");
}

NdLayout::NdLayout(const Shape& tensor, const Shape& indices) {
  const auto depth = static_cast<int>(indices[indices.rank() - 1]);
  slices = indices.product(0, indices.rank() - 1);
  inner = tensor.product(depth, tensor.rank());
  for (int axis = 0; axis < depth; ++axis) {
    dims.push_back(tensor[axis]);
    strides.push_back(tensor.product(axis + 1, depth));
  }
}

Status check_nd_updates(const PartialShape& tensor, const PartialShape& indices,
                        const PartialShape& updates) {
  if (!indices.is_fully_known() || !updates.is_fully_known() || !tensor.has_rank()) {
    return absl::OkStatus();
  }
  const int64_t depth = indices[indices.rank() - 1];
  if (depth > tensor.rank()) {
    return invalid_argument("the last dimension of indices is ", depth, ", the shape has rank ",
                            tensor.rank());
  }
  std::vector<int64_t> wanted(indices.dims().begin(), indices.dims().end() - 1);
  wanted.insert(wanted.end(), tensor.dims().begin() + depth, tensor.dims().end());
  bool fits = wanted.size() == updates.dims().size();
  for (size_t i = 0; fits && i < wanted.size(); ++i) {
    fits = wanted[i] < 0 || wanted[i] == updates.dims()[i];
  }
  if (!fits) {
    return invalid_argument("updates must have shape [", join(wanted, ","), "], they have ",
                            updates);
  }
  if (tensor.num_elements() == 0 && updates.num_elements() > 0) {
    return invalid_argument("Indices and updates specified for empty output tensor");
  }
  return absl::OkStatus();
}

}  // namespace tenon
