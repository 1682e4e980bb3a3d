// Empty: a tensor of a shape, its elements what they happen to be; here zeros.
// XlaDynamicUpdateSlice: a block written into a tensor, moved inwards where it would stick out.
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status empty_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(0));
  if (c.constant(0)) TENON_RETURN_IF_ERROR(Shape::make(y.dims()).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_empty(Prepare& p) {
  if (is_object(p.output_dtype(0))) {
    if (p.output_dtype(0) == DType::kString) return [](KernelRun&) { return absl::OkStatus(); };
    return unimplemented("Empty has no CPU kernel for dtype ", p.output_dtype(0));
  }
  return [](KernelRun& r) {
    if (r.output(0).num_bytes() > 0) {
      std::memset(r.output(0).mutable_raw(), 0, r.output(0).num_bytes());
    }
    return absl::OkStatus();
  };
}

Status update_slice_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  const PartialShape& x = c.input(0);
  const PartialShape& block = c.input(1);
  const PartialShape& at = c.input(2);
  if (x.has_rank() && block.has_rank() && x.rank() != block.rank()) {
    return invalid_argument("input and update must have one rank, they have shapes ", x, " and ",
                            block);
  }
  if (x.has_rank() && at.has_rank() && at[0] >= 0 && at[0] != x.rank()) {
    return invalid_argument("indices must have shape [", x.rank(), "], not ", at);
  }
  for (int i = 0; x.has_rank() && block.has_rank() && i < x.rank(); ++i) {
    if (x[i] >= 0 && block[i] > x[i]) {
      return invalid_argument("update of shape ", block, " does not fit in ", x);
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

StatusOr<Kernel> make_update_slice(Prepare& p) {
  const Shape x = p.input_shape(0), block = p.input_shape(1);
  if (is_object(p.input_dtype(0))) {
    return unimplemented("XlaDynamicUpdateSlice has no CPU kernel for dtype ", p.input_dtype(0));
  }
  const size_t bytes = size_of(p.input_dtype(0));
  p.may_overwrite(0, 0);
  return Kernel([=](KernelRun& r) {
    if (r.in<char>(0) != r.out<char>(0) && r.input(0).num_bytes() > 0) {
      std::memcpy(r.out<char>(0), r.in<char>(0), r.input(0).num_bytes());
    }
    if (block.num_elements() == 0) return absl::OkStatus();
    std::vector<int64_t> start = integers_of(r.input(2));
    for (int i = 0; i < x.rank(); ++i) {
      auto& at = start[static_cast<size_t>(i)];
      at = std::clamp<int64_t>(at, 0, x[i] - block[i]);
    }
    const int64_t width = x.rank() > 0 ? block[x.rank() - 1] : 1;
    const int64_t rows = block.num_elements() / width;
    const size_t row_bytes = static_cast<size_t>(width) * bytes;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t rest = row, offset = x.rank() > 0 ? start.back() : 0;
      int64_t stride = x.rank() > 0 ? x[x.rank() - 1] : 1;
      for (int axis = x.rank() - 2; axis >= 0; --axis) {
        offset += (start[static_cast<size_t>(axis)] + rest % block[axis]) * stride;
        rest /= block[axis];
        stride *= x[axis];
      }
      std::memcpy(r.out<char>(0) + static_cast<size_t>(offset) * bytes,
                  r.in<char>(1) + static_cast<size_t>(row) * row_bytes, row_bytes);
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(Empty) = {
    .inputs = "shape: int32",
    .outputs = "output: dtype",
    .attrs = "dtype: type; init: bool = false",
    .host_inputs = {0},
    .shape = empty_shape,
    .gradient = not_differentiable,
    .kernels = {make_empty},
};
TENON_OP(XlaDynamicUpdateSlice) = {
    .inputs = "input: T, update: T, indices: Tindices",
    .outputs = "output: T",
    .attrs = "T: type; Tindices: {int32, int64}",
    .shape = update_slice_shape,
    .gradient = not_differentiable,
    .kernels = {make_update_slice},
};

}  // namespace tenon
