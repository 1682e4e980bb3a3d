// ResourceGather: rows of a variable by index; VariableShape.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/gather.h"
#include "tenon/ops/state/variable_access.h"

namespace tenon {
namespace {

// params[:batch] + indices[batch:] + params[batch + 1:].
StatusOr<PartialShape> gathered_shape(const PartialShape& params, const PartialShape& indices,
                                      int64_t batch_dims) {
  if (!indices.has_rank()) return PartialShape();
  if (batch_dims < 0) batch_dims += indices.rank();
  if (batch_dims < 0 || batch_dims > indices.rank()) {
    return invalid_argument("batch_dims is ", batch_dims, " for indices of shape ", indices);
  }
  if (!params.has_rank()) return PartialShape();
  if (batch_dims >= params.rank()) {
    return invalid_argument("a variable of shape ", params, " has no dimension ", batch_dims,
                            " to gather from");
  }
  const size_t batch = static_cast<size_t>(batch_dims);
  for (size_t axis = 0; axis < batch; ++axis) {
    const int64_t a = params.dims()[axis], b = indices.dims()[axis];
    if (a >= 0 && b >= 0 && a != b) {
      return invalid_argument("batch dimension ", axis, " differs: ", params, " and ", indices);
    }
  }
  std::vector<int64_t> dims(params.dims().begin(), params.dims().begin() + batch_dims);
  const auto index_dims = indices.dims().subspan(batch);
  const auto inner_dims = params.dims().subspan(batch + 1);
  dims.insert(dims.end(), index_dims.begin(), index_dims.end());
  dims.insert(dims.end(), inner_dims.begin(), inner_dims.end());
  return PartialShape(std::span<const int64_t>(dims));
}

Status resource_gather_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_variable_dtype(c, 0, c.attr<DType>("dtype")));
  TENON_ASSIGN_OR_RETURN(PartialShape shape, gathered_shape(variable_info(c, 0).shape, c.input(1),
                                                            c.attr<int64_t>("batch_dims")));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

template <class Index>
Status run_resource_gather(KernelRun& r, const Tensor& params, int batch) {
  const Tensor& indices = r.input(1);
  const int64_t batches = params.shape().product(0, batch);
  const int64_t size = params.dim(batch);
  const int64_t inner = params.shape().product(batch + 1, params.rank()) *
                        static_cast<int64_t>(size_of(params.dtype()));
  const int64_t count = indices.shape().product(batch, indices.rank());
  for (int64_t b = 0; b < batches; ++b) {
    const Index* chosen = indices.data<Index>() + b * count;
    const int64_t bad =
        kernels::gather<Index>(1, size, inner, params.data<char>() + b * size * inner, chosen,
                               count, r.out<char>(0) + b * count * inner);
    if (bad >= 0) {
      return invalid_argument("indices[", b * count + bad, "] = ", chosen[bad], " is not in [0, ",
                              size, ")");
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_resource_gather(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (is_object(dtype)) return unimplemented("gathering from a variable of dtype ", dtype);
  int64_t batch_dims = p.attr<int64_t>("batch_dims");
  if (batch_dims < 0) batch_dims += p.input_shape(1).rank();
  const bool planned = p.output_shape(0).is_fully_known();
  return Kernel(
      [dtype, batch_dims, planned, index_dtype = p.input_dtype(1)](KernelRun& r) -> Status {
        TENON_ASSIGN_OR_RETURN(const Variable* variable, variable_of(r, 0));
        TENON_ASSIGN_OR_RETURN(const Tensor params, variable->read());
        TENON_ASSIGN_OR_RETURN(const PartialShape shape,
                               gathered_shape(params.shape(), r.input(1).shape(), batch_dims));
        if (params.dtype() != dtype || (planned && r.output(0).shape() != shape.to_shape())) {
          return invalid_argument("variable '", variable->name(), "' holds ", params.dtype(),
                                  params.shape(), ", another dtype or shape was declared");
        }
        if (!planned) TENON_RETURN_IF_ERROR(r.allocate_output(0, shape.to_shape()));
        const int batch = static_cast<int>(batch_dims);
        return index_dtype == DType::kInt32 ? run_resource_gather<int32_t>(r, params, batch)
                                            : run_resource_gather<int64_t>(r, params, batch);
      });
}

// tensorflow/python/ops/resource_variable_ops.py, _GatherGrad, whose IndexedSlices are summed into
// a dense tensor at once.
Status resource_gather_gradient(Gradient& g) {
  if (g.attr<int64_t>("batch_dims") != 0) {
    return unimplemented("the gradient of ResourceGather with batch_dims other than 0");
  }
  GraphBuilder& b = g.build();
  const Endpoint shape = b.op("VariableShape", {g.input(0)}, {{"out_type", DType::kInt32}});
  const Endpoint rows = b.element(shape, 0);
  const Endpoint any = b.integers({-1});
  const Endpoint values_shape = b.concat({any, b.slice(shape, 1)}, 0);
  const Endpoint values = b.reshape(g.dy(), values_shape);
  const Endpoint indices = b.reshape(g.input(1), any);
  g.set_dx(0, b.op("UnsortedSegmentSum", {values, indices, rows}));
  return absl::OkStatus();
}

Status variable_shape_shape(ShapeContext& c) {
  const PartialShape shape = variable_info(c, 0).shape;
  c.set_output(0, {shape.has_rank() ? shape.rank() : -1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_variable_shape(Prepare& p) {
  return Kernel([planned = p.output_shape(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const Variable* variable, variable_of(r, 0));
    TENON_ASSIGN_OR_RETURN(const Tensor value, variable->read());
    const Shape shape{value.rank()};
    if (!planned.matches(shape)) {
      return invalid_argument("variable '", variable->name(), "' has rank ", value.rank(),
                              ", another was declared");
    }
    if (!planned.is_fully_known()) TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
    for (int axis = 0; axis < value.rank(); ++axis) {
      if (r.output(0).dtype() == DType::kInt64)
        r.out<int64_t>(0)[axis] = value.dim(axis);
      else
        r.out<int32_t>(0)[axis] = static_cast<int32_t>(value.dim(axis));
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(ResourceGather) = {
    .inputs = "resource: resource, indices: Tindices",
    .outputs = "output: dtype",
    .attrs =
        "batch_dims: int = 0; validate_indices: bool = true; dtype: type; "
        "Tindices: {int32, int64}",
    .effect = Effect::kRead,
    .shape = resource_gather_shape,
    .rows = Rows::kIndependent,
    .gradient = resource_gather_gradient,
    .kernels = {make_resource_gather},
};

TENON_OP(VariableShape) = {
    .inputs = "input: resource",
    .outputs = "output: out_type",
    .attrs = "out_type: {int32, int64} = int32",
    .effect = Effect::kRead,
    .shape = variable_shape_shape,
    .gradient = not_differentiable,
    .kernels = {make_variable_shape},
};

}  // namespace tenon
