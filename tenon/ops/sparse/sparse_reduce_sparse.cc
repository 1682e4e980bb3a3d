// SparseReduceSumSparse, SparseReduceMaxSparse: reductions of sparse tensors that stay sparse.
#include <map>

#include "tenon/kernels/elementwise.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

Status reduce_to_sparse_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse_reduction(c));
  c.set_output(0, {-1, -1});
  c.set_output(1, {-1});
  c.set_output(2, {-1});
  return absl::OkStatus();
}

// Values by their coordinates along the axes that stay, in order.
using ReducedGroups = std::map<std::vector<int64_t>, std::vector<int64_t>>;

Status store_groups(KernelRun& r, const ReducedGroups& groups, std::span<const int64_t> shape,
                    kernels::BinaryKernel combine, size_t bytes) {
  const auto count = static_cast<int64_t>(groups.size());
  const auto rank = static_cast<int64_t>(shape.size());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{count, rank}));
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{count}));
  int64_t* index = r.out<int64_t>(0);
  char* y = r.out<char>(1);
  for (const auto& [place, values] : groups) {
    index = std::copy(place.begin(), place.end(), index);
    bool begun = false;
    for (int64_t value : values) {
      const char* x = r.in<char>(1) + static_cast<size_t>(value) * bytes;
      if (begun) {
        combine(y, 1, x, 1, y, 1);
      } else {
        std::memcpy(y, x, bytes);
        begun = true;
      }
    }
    y += bytes;
  }
  r.set_output(2, Tensor::vector<int64_t>(shape));
  return absl::OkStatus();
}

template <kernels::BinaryOp op>
StatusOr<Kernel> make_reduce_to_sparse(Prepare& p) {
  const DType dtype = p.input_dtype(1);
  const kernels::BinaryKernel combine = kernels::find_binary(op, dtype);
  if (!combine) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  const bool keep = p.attr<bool>("keep_dims");
  return Kernel([combine, keep, bytes = size_of(dtype)](KernelRun& r) -> Status {
    const Coordinates rows(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape dense, dense_shape(r.input(2)));
    TENON_RETURN_IF_ERROR(check_bounds(rows, dense));
    TENON_ASSIGN_OR_RETURN(const std::vector<bool> reduced,
                           sparse_reduced_axes(r.input(3), dense.rank()));
    const std::vector<int64_t> shape = sparse_reduced_dims(dense.dims(), reduced, keep);
    ReducedGroups groups;
    for (int64_t i = 0; i < rows.count; ++i) {
      std::vector<int64_t> place;
      for (int axis = 0; axis < dense.rank(); ++axis) {
        const auto at = static_cast<size_t>(axis);
        if (!reduced[at]) {
          place.push_back(rows.row(i)[at]);
        } else if (keep) {
          place.push_back(0);
        }
      }
      groups[place].push_back(i);
    }
    return store_groups(r, groups, shape, combine, bytes);
  });
}

constexpr OpDecl reduce_to_sparse(AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32",
      .outputs = "output_indices: int64, output_values: T, output_shape: int64",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = reduce_to_sparse_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(SparseReduceSumSparse) = reduce_to_sparse("T: {numeric}; keep_dims: bool = false",
                                                   make_reduce_to_sparse<kernels::BinaryOp::kAdd>);
TENON_OP(SparseReduceMaxSparse) = reduce_to_sparse(
    "T: {real}; keep_dims: bool = false", make_reduce_to_sparse<kernels::BinaryOp::kMaximum>);

}  // namespace tenon
