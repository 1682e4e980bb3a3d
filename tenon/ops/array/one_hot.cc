#include "tenon/core/shape_context.h"
#include "tenon/kernels/gather.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status one_hot_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  const int64_t depth = c.constant(1) ? integer_at(*c.constant(1), 0) : -1;
  if (c.constant(1) && depth < 0)
    return invalid_argument("depth must be non-negative, got: ", depth);
  const PartialShape& indices = c.input(0);
  if (!indices.has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  const int64_t wanted = c.attr<int64_t>("axis");
  if (wanted < -1 || wanted > indices.rank()) {
    return invalid_argument("Expected axis to be -1 or between [0, ", indices.rank() + 1,
                            ").  But received: ", wanted);
  }
  const int axis = static_cast<int>(wanted < 0 ? indices.rank() : wanted);
  std::vector<int64_t> y(indices.dims().begin(), indices.dims().end());
  y.insert(y.begin() + axis, depth);
  PartialShape shape{std::span<const int64_t>(y)};
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_one_hot(Prepare& p) {
  const Shape& indices = p.input_shape(0);
  const int64_t wanted = p.attr<int64_t>("axis");
  const int axis = static_cast<int>(wanted < 0 ? indices.rank() : wanted);
  const int64_t prefix = indices.product(0, axis);
  const int64_t suffix = indices.product(axis, indices.rank());
  const int64_t depth = integer_at(*p.constant(1), 0);
  const size_t size = size_of(p.output_dtype(0));
  const int64_t count = indices.num_elements();
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(0), [&]<class Index>() {
    kernel = [=](KernelRun& r) {
      kernels::one_hot(size, prefix, depth, suffix, r.in<Index>(0), r.input(2).raw(),
                       r.input(3).raw(), r.output(0).mutable_raw());
      own_elements(r, 0, 2, 2);
      return absl::OkStatus();
    };
  });
  // Narrow indices are widened first.
  visit<TypeList<uint8_t, int8_t>>(p.input_dtype(0), [&]<class Index>() {
    p.reserve_scratch(static_cast<size_t>(count) * sizeof(int32_t));
    kernel = [=](KernelRun& r) {
      int32_t* wide = r.scratch<int32_t>();
      std::copy_n(r.in<Index>(0), count, wide);
      kernels::one_hot(size, prefix, depth, suffix, wide, r.input(2).raw(), r.input(3).raw(),
                       r.output(0).mutable_raw());
      own_elements(r, 0, 2, 2);
      return absl::OkStatus();
    };
  });
  return kernel;
}

Rows one_hot_rows(const ShapeContext& c) {
  if (!c.input(0).has_rank()) return Rows::kMixed;
  return rows_beside_axis(c.attr<int64_t>("axis"), c.input(0).rank() + 1);
}

}  // namespace

TENON_OP(OneHot) = {
    .inputs = "indices: TI, depth: int32, on_value: T, off_value: T",
    .outputs = "output: T",
    .attrs = "axis: int = -1; T: type; TI: {uint8, int8, int32, int64} = int64",
    .host_inputs = {1},
    .shape = one_hot_shape,
    .rows = one_hot_rows,
    .gradient = not_differentiable,
    .kernels = {make_one_hot},
};

}  // namespace tenon
