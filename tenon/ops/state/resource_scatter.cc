// ResourceScatter*, ResourceScatterNd*, ResourceStridedSliceAssign: parts of a variable changed.
#include <cstring>

#include "tenon/core/op.h"
#include "tenon/kernels/gather.h"
#include "tenon/kernels/scalar/extremum.h"
#include "tenon/ops/array/nd_index.h"
#include "tenon/ops/array/strided_slice.h"
#include "tenon/ops/state/variable_access.h"

namespace tenon {
namespace {

using kernels::BinaryOp;
using kernels::ScatterOp;

// The updates' dtype is the variable's.
Status resource_scatter_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  return expect_variable_dtype(c, 0, c.input_dtype(2));
}

// INVALID_ARGUMENT unless `value` holds `dtype`; a copy of memory must mean a copy of elements.
Status check_held(const Variable& variable, const Tensor& held, DType dtype) {
  if (held.dtype() == dtype) return absl::OkStatus();
  return invalid_argument("variable '", variable.name(), "' holds ", held.dtype(), ", ", dtype,
                          " is given");
}

template <class Index>
Status scatter_into(ScatterOp op, const Variable& variable, const Tensor& indices,
                    const Tensor& updates, Tensor& held) {
  TENON_RETURN_IF_ERROR(check_held(variable, held, updates.dtype()));
  if (held.rank() < 1) return invalid_argument("variable '", variable.name(), "' is a scalar");
  const int64_t inner = held.shape().product(1, held.rank());
  const int64_t count = indices.num_elements();
  Tensor spread = updates;
  if (updates.num_elements() == 1 && count * inner != 1 && updates.rank() == 0) {
    TENON_ASSIGN_OR_RETURN(spread, Tensor::allocate(updates.dtype(), Shape{count, inner}));
    kernels::fill(size_of(updates.dtype()), updates.raw(), spread.mutable_raw(), count * inner);
  }
  if (spread.num_elements() != count * inner) {
    return invalid_argument("shape of indices (", indices.shape(),
                            ") is not compatible with the shape of updates (", updates.shape(),
                            ") for variable '", variable.name(), "' of ", held.shape());
  }
  const int64_t bad =
      kernels::scatter_rows<Index>(op, held.dtype(), held.dim(0), inner, indices.data<Index>(),
                                   count, spread.raw(), held.mutable_raw());
  if (bad == -2) return unimplemented("a scatter into a variable of dtype ", held.dtype());
  if (bad >= 0) {
    return invalid_argument("indices[", bad, "] = ", indices.data<Index>()[bad], " is not in [0, ",
                            held.dim(0), ")");
  }
  return absl::OkStatus();
}

template <ScatterOp op>
StatusOr<Kernel> make_resource_scatter(Prepare& p) {
  if (is_object(p.input_dtype(2))) {
    return unimplemented(p.op().name(), " has no kernel for dtype ", p.input_dtype(2));
  }
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
    kernel = [](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
      return variable->update(
          [&](Tensor& held) {
            return scatter_into<Index>(op, *variable, r.input(1), r.input(2), held);
          },
          r.context().stream);
    };
  });
  return kernel;
}

// `combine` null: the slices are replaced.
template <class Index>
Status scatter_nd_into(kernels::BinaryKernel combine, BadIndex policy, const Variable& variable,
                       const Tensor& indices, const Tensor& updates, Tensor& held) {
  TENON_RETURN_IF_ERROR(check_held(variable, held, updates.dtype()));
  if (indices.rank() < 1) return invalid_argument("indices must have a rank of 1 at least");
  TENON_RETURN_IF_ERROR(check_nd_updates(held.shape(), indices.shape(), updates.shape()));
  const NdLayout layout(held.shape(), indices.shape());
  const size_t bytes = static_cast<size_t>(layout.inner) * size_of(held.dtype());
  if (bytes == 0) return absl::OkStatus();
  const Index* index = indices.data<Index>();
  for (int64_t i = 0; i < layout.slices; ++i, index += layout.dims.size()) {
    const int64_t slice = layout.slice_at(index);
    if (slice < 0) {
      if (policy == BadIndex::kIgnore) continue;
      return outside_params(i, index, layout);
    }
    char* to = held.mutable_data<char>() + static_cast<size_t>(slice) * bytes;
    const char* from = updates.data<char>() + static_cast<size_t>(i) * bytes;
    if (combine) {
      combine(to, 1, from, 1, to, layout.inner);
    } else {
      std::memcpy(to, from, bytes);
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> resource_scatter_nd_kernel(Prepare& p, kernels::BinaryKernel combine) {
  TENON_ASSIGN_OR_RETURN(const BadIndex policy, bad_index_policy(p.attrs()));
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
    kernel = [combine, policy](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
      return variable->update(
          [&](Tensor& held) {
            return scatter_nd_into<Index>(combine, policy, *variable, r.input(1), r.input(2), held);
          },
          r.context().stream);
    };
  });
  return kernel;
}

StatusOr<Kernel> make_resource_scatter_nd_update(Prepare& p) {
  if (is_object(p.input_dtype(2))) {
    return unimplemented(p.op().name(), " has no kernel for dtype ", p.input_dtype(2));
  }
  return resource_scatter_nd_kernel(p, nullptr);
}
template <BinaryOp op>
StatusOr<Kernel> make_resource_scatter_nd(Prepare& p) {
  const bool extremum = op == BinaryOp::kMaximum || op == BinaryOp::kMinimum;
  const kernels::BinaryKernel combine =
      extremum ? kernels::find_extremum(op == BinaryOp::kMaximum, p.input_dtype(2))
               : kernels::find_binary(op, p.input_dtype(2));
  if (!combine) {
    return unimplemented(p.op().name(), " has no kernel for dtype ", p.input_dtype(2));
  }
  return resource_scatter_nd_kernel(p, combine);
}

Status strided_slice_assign_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  for (int i = 1; i < 4; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  return expect_variable_dtype(c, 0, c.input_dtype(4));
}

StatusOr<Kernel> make_strided_slice_assign(Prepare& p) {
  if (is_object(p.input_dtype(4))) {
    return unimplemented("ResourceStridedSliceAssign has no kernel for dtype ", p.input_dtype(4));
  }
  const StridedSliceMasks masks = StridedSliceMasks::of(p.attrs());
  return Kernel([masks](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
    const Tensor& value = r.input(4);
    return variable->update(
        [&](Tensor& held) -> Status {
          TENON_RETURN_IF_ERROR(check_held(*variable, held, value.dtype()));
          TENON_ASSIGN_OR_RETURN(
              const StridedSlice slice,
              resolve_strided_slice(held.shape(), &r.input(1), &r.input(2), &r.input(3),
                                    r.input(1).num_elements(), masks));
          const Shape part = slice.shape.to_shape();
          // One value fills a slice of any shape.
          const bool scalar = value.rank() == 0 || value.num_elements() == 1;
          if (!scalar && value.shape() != part) {
            return invalid_argument("a slice of shape ", part, " of variable '", variable->name(),
                                    "' is assigned a value of shape ", value.shape());
          }
          if (part.num_elements() == 0) return absl::OkStatus();
          int64_t offset = 0;
          kernels::StridedCopy copy = slice.copy(held.shape(), offset);
          std::swap(copy.source_strides, copy.target_strides);
          if (scalar) std::fill(copy.source_strides.begin(), copy.source_strides.end(), 0);
          const size_t size = size_of(held.dtype());
          kernels::run(kernels::simplify(copy), size, value.raw(),
                       held.mutable_data<char>() + offset * static_cast<int64_t>(size));
          return absl::OkStatus();
        },
        r.context().stream);
  });
}

constexpr OpDecl resource_scatter(AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = "resource: resource, indices: Tindices, updates: dtype",
      .outputs = "",
      .attrs = attrs,
      .effect = Effect::kWrite,
      .shape = resource_scatter_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

constexpr OpDecl resource_scatter_nd(KernelFactory factory) {
  return {
      .inputs = "ref: resource, indices: Tindices, updates: T",
      .outputs = "",
      .attrs =
          "T: type; Tindices: {int32, int64}; use_locking: bool = true; "
          "bad_indices_policy: string = ''",
      .effect = Effect::kWrite,
      .shape = resource_scatter_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

#define TENON_SCATTER_ATTRS \
  "dtype: {numeric, qint8, quint8, qint32, qint16, quint16}; Tindices: {int32, int64}"

}  // namespace

TENON_OP(ResourceScatterUpdate) = resource_scatter("dtype: type; Tindices: {int32, int64}",
                                                   make_resource_scatter<ScatterOp::kUpdate>);
TENON_OP(ResourceScatterAdd) = resource_scatter(TENON_SCATTER_ATTRS,
                                                make_resource_scatter<ScatterOp::kAdd>);
TENON_OP(ResourceScatterSub) = resource_scatter(TENON_SCATTER_ATTRS,
                                                make_resource_scatter<ScatterOp::kSub>);
TENON_OP(ResourceScatterMul) = resource_scatter(TENON_SCATTER_ATTRS,
                                                make_resource_scatter<ScatterOp::kMul>);
TENON_OP(ResourceScatterDiv) = resource_scatter(TENON_SCATTER_ATTRS,
                                                make_resource_scatter<ScatterOp::kDiv>);
TENON_OP(ResourceScatterMin) = resource_scatter(TENON_SCATTER_ATTRS,
                                                make_resource_scatter<ScatterOp::kMin>);
TENON_OP(ResourceScatterMax) = resource_scatter(TENON_SCATTER_ATTRS,
                                                make_resource_scatter<ScatterOp::kMax>);

TENON_OP(ResourceScatterNdUpdate) = resource_scatter_nd(make_resource_scatter_nd_update);
TENON_OP(ResourceScatterNdAdd) = resource_scatter_nd(make_resource_scatter_nd<BinaryOp::kAdd>);
TENON_OP(ResourceScatterNdSub) = resource_scatter_nd(make_resource_scatter_nd<BinaryOp::kSub>);
TENON_OP(ResourceScatterNdMin) = resource_scatter_nd(make_resource_scatter_nd<BinaryOp::kMinimum>);
TENON_OP(ResourceScatterNdMax) = resource_scatter_nd(make_resource_scatter_nd<BinaryOp::kMaximum>);

#undef TENON_SCATTER_ATTRS

TENON_OP(ResourceStridedSliceAssign) = {
    .inputs = "ref: resource, begin: Index, end: Index, strides: Index, value: T",
    .outputs = "",
    .attrs =
        "T: type; Index: {int32, int64}; begin_mask: int = 0; end_mask: int = 0; "
        "ellipsis_mask: int = 0; new_axis_mask: int = 0; shrink_axis_mask: int = 0",
    .effect = Effect::kWrite,
    .shape = strided_slice_assign_shape,
    .gradient = not_differentiable,
    .kernels = {make_strided_slice_assign},
};

}  // namespace tenon
