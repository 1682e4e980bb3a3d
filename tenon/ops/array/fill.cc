// Fill, ZerosLike, OnesLike.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/list/list_math.h"

namespace tenon {
namespace {

Status fill_shape(ShapeContext& c) {
  const Tensor* value_of_one = c.constant(1);
  if (!value_of_one || value_of_one->num_elements() != 1) {
    TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  }
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(0));
  if (c.constant(0)) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims()).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_fill(Prepare& p) {
  const size_t size = size_of(p.output_dtype(0));
  const int64_t count = p.output_shape(0).num_elements();
  return [=](KernelRun& r) {
    kernels::fill(size, r.input(1).raw(), r.output(0).mutable_raw(), count);
    own_elements(r, 0, 1);
    return absl::OkStatus();
  };
}

Status fill_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint flat = b.reshape(g.dy(), b.integers({-1}));
  g.set_dx(1, b.op("Sum", {flat, b.integers({0})}));
  return absl::OkStatus();
}

StatusOr<Kernel> make_zeros_like(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (dtype == DType::kResource || dtype == DType::kVariant) {
    return unimplemented("ZerosLike has no CPU kernel for dtype ", dtype);
  }
  if (is_object(dtype)) return [](KernelRun&) { return absl::OkStatus(); };
  const auto bytes = static_cast<size_t>(p.input_shape(0).num_elements()) * size_of(dtype);
  return [bytes](KernelRun& r) {
    if (bytes > 0) std::memset(r.output(0).mutable_raw(), 0, bytes);
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_ones_like(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  const int64_t count = p.input_shape(0).num_elements();
  Kernel kernel;
  const auto fill_with = [&]<class T>(T one) {
    kernel = [=](KernelRun& r) {
      std::fill_n(r.out<T>(0), count, one);
      return absl::OkStatus();
    };
  };
  visit<NumericTypes>(dtype, [&]<class T>() { fill_with(T(1)); });
  if (dtype == DType::kBool) fill_with(true);
  if (!kernel) return unimplemented("OnesLike has no CPU kernel for dtype ", dtype);
  return kernel;
}

constexpr OpDecl constant_like(AttrsText attrs, KernelList kernels) {
  return {
      .inputs = "x: T",
      .outputs = "y: T",
      .attrs = attrs,
      .needs_only_shapes = true,
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = kernels,
  };
}

}  // namespace

TENON_OP(Fill) = {
    .inputs = "dims: index_type, value: T",
    .outputs = "output: T",
    .attrs = "T: type; index_type: {int32, int64} = int32",
    .host_inputs = {0},
    .shape = fill_shape,
    .gradient = fill_gradient,
    .kernels = {make_fill},
};
TENON_OP(ZerosLike) = constant_like("T: type", {make_zeros_like, make_zeros_like_list});
TENON_OP(OnesLike) = constant_like("T: {numeric, bool}", {make_ones_like});

}  // namespace tenon
