// ResourceGatherNd (slices of a variable), ResourceCountUpTo (a counter with an end).
#include <cstring>

#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/nd_index.h"
#include "tenon/ops/state/variable_access.h"

namespace tenon {
namespace {

// The places that indices name, then the rest of the variable's dimensions.
StatusOr<PartialShape> gathered_nd_shape(const PartialShape& params, const PartialShape& indices) {
  if (!params.has_rank() || !indices.has_rank()) return PartialShape();
  if (indices.rank() < 1) return invalid_argument("indices must be at least a vector");
  const int64_t depth = indices[indices.rank() - 1];
  if (depth < 0) return PartialShape();
  if (depth > params.rank()) {
    return invalid_argument("index innermost dimension length must be <= params rank; saw: ", depth,
                            " vs. ", params.rank());
  }
  std::vector<int64_t> y(indices.dims().begin(), indices.dims().end() - 1);
  for (int axis = static_cast<int>(depth); axis < params.rank(); ++axis) y.push_back(params[axis]);
  return PartialShape(std::span<const int64_t>(y));
}

Status resource_gather_nd_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(expect_variable_dtype(c, 0, c.attr<DType>("dtype")));
  TENON_ASSIGN_OR_RETURN(PartialShape y, gathered_nd_shape(variable_info(c, 0).shape, c.input(1)));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

template <class Index>
Status gather_nd_from(KernelRun& r, const Tensor& held) {
  const NdLayout layout(held.shape(), r.input(1).shape());
  const size_t bytes = static_cast<size_t>(layout.inner) * size_of(held.dtype());
  const Index* index = r.in<Index>(1);
  for (int64_t i = 0; i < layout.slices && bytes > 0; ++i, index += layout.dims.size()) {
    const int64_t slice = layout.slice_at(index);
    if (slice < 0) return outside_params(i, index, layout);
    std::memcpy(r.out<char>(0) + static_cast<size_t>(i) * bytes,
                held.data<char>() + static_cast<size_t>(slice) * bytes, bytes);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_resource_gather_nd(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (is_object(dtype)) return unimplemented("gathering from a variable of dtype ", dtype);
  const bool planned = p.output_shape(0).is_fully_known();
  return Kernel([=, index = p.input_dtype(1)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const Variable* variable, variable_of(r, 0));
    TENON_ASSIGN_OR_RETURN(const Tensor held, variable->read());
    TENON_ASSIGN_OR_RETURN(const PartialShape shape,
                           gathered_nd_shape(held.shape(), r.input(1).shape()));
    if (held.dtype() != dtype || (planned && !(r.output(0).shape() == shape.to_shape()))) {
      return invalid_argument("variable '", variable->name(), "' holds ", held.dtype(),
                              held.shape(), ", another shape was planned");
    }
    if (!planned) TENON_RETURN_IF_ERROR(r.allocate_output(0, shape.to_shape()));
    return index == DType::kInt32 ? gather_nd_from<int32_t>(r, held)
                                  : gather_nd_from<int64_t>(r, held);
  });
}

// resource_variable_ops.py, _ResourceGatherNdGrad.
Status resource_gather_nd_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.op("VariableShape", {g.input(0)}, {{"out_type", b.dtype(g.input(1))}});
  g.set_dx(0, b.op("ScatterNd", {g.input(1), g.dy(), shape}));
  return absl::OkStatus();
}

StatusOr<Kernel> make_count_up(Prepare& p) {
  const auto limit = p.attr<int64_t>("limit");
  Kernel kernel;
  visit<IndexTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [limit](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
      return variable->update(
          [&](Tensor& held) -> Status {
            if (held.dtype() != dtype_of<T> || held.num_elements() != 1) {
              return invalid_argument("variable '", variable->name(), "' holds ", held.dtype(),
                                      held.shape(), ", a counter is expected");
            }
            T& count = *held.mutable_data<T>();
            if (int64_t{count} >= std::min<int64_t>(limit, std::numeric_limits<T>::max()))
              return out_of_range("Reached limit of ", limit);
            *r.out<T>(0) = count++;
            return absl::OkStatus();
          },
          r.context().stream);
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(ResourceGatherNd) = {
    .inputs = "resource: resource, indices: Tindices",
    .outputs = "output: dtype",
    .attrs = "dtype: type; Tindices: {int32, int64}",
    .effect = Effect::kRead,
    .shape = resource_gather_nd_shape,
    .gradient = resource_gather_nd_gradient,
    .kernels = {make_resource_gather_nd},
};
TENON_OP(ResourceCountUpTo) = {
    .inputs = "resource: resource",
    .outputs = "output: T",
    .attrs = "limit: int; T: {int32, int64}",
    .effect = Effect::kWrite,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_count_up},
};

}  // namespace tenon
