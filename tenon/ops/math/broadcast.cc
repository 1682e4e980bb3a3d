// BroadcastTo, and the ops that compute with broadcast shapes.
#include "tenon/kernels/broadcast.h"

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status broadcast_to_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape wanted, c.shape_from_input(1));
  const PartialShape& x = c.input(0);
  if (c.constant(1)) {
    for (int64_t dim : wanted.dims()) {
      if (dim < 0) return invalid_argument("the shape to broadcast to is ", wanted);
    }
    bool fits = !x.has_rank() || x.rank() <= wanted.rank();
    for (int i = 1; x.has_rank() && fits && i <= x.rank(); ++i) {
      const int64_t from = x[x.rank() - i];  // -1: not known
      fits = from < 0 || from == 1 || from == wanted[wanted.rank() - i];
    }
    if (!fits) return invalid_argument("a tensor of shape ", x, " does not broadcast to ", wanted);
  }
  c.set_output(0, std::move(wanted));
  return absl::OkStatus();
}

StatusOr<Kernel> make_broadcast_to(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(
      const kernels::BroadcastPlan plan,
      kernels::plan_broadcast(std::vector<Shape>{p.input_shape(0), p.output_shape(0).to_shape()}));
  const size_t size = size_of(p.output_dtype(0));
  return [=](KernelRun& r) {
    kernels::run_broadcast_copy(plan, size, r.input(0).raw(), r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

Status broadcast_to_gradient(Gradient& g) {
  g.set_dx_broadcast(0, g.dy());
  return absl::OkStatus();
}

// Axes of the broadcast result along which a tensor of shape `own` has to be summed
// (tensorflow/core/util/bcast.h, grad_x_reduce_idx: axes that both sides have as 1 count too).
std::vector<int64_t> reduced_axes(std::span<const int64_t> own, std::span<const int64_t> other) {
  std::vector<int64_t> axes;
  const size_t rank = std::max(own.size(), other.size());
  const auto at = [&](std::span<const int64_t> dims, size_t axis) {
    const size_t missing = rank - dims.size();
    return axis < missing ? 1 : dims[axis - missing];
  };
  if (std::ranges::equal(own, other)) return axes;
  for (size_t axis = 0; axis < rank; ++axis) {
    if (at(own, axis) == 1) axes.push_back(static_cast<int64_t>(axis));
  }
  return axes;
}

struct GradientAxes {
  std::vector<int64_t> of_a, of_b;
};
StatusOr<GradientAxes> gradient_axes(const Tensor& a, const Tensor& b) {
  const std::vector<int64_t> left = integers_of(a), right = integers_of(b);
  TENON_RETURN_IF_ERROR(broadcast_shapes(PartialShape(std::span<const int64_t>(left)),
                                         PartialShape(std::span<const int64_t>(right)))
                            .status());
  return GradientAxes{reduced_axes(left, right), reduced_axes(right, left)};
}

Status broadcast_gradient_args_shape(ShapeContext& c) {
  for (int i = 0; i < 2; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    c.set_output(i, PartialShape{-1});
  }
  if (c.constant(0) && c.constant(1)) {
    TENON_ASSIGN_OR_RETURN(const GradientAxes axes, gradient_axes(*c.constant(0), *c.constant(1)));
    c.set_output(0, Shape{static_cast<int64_t>(axes.of_a.size())});
    c.set_output(1, Shape{static_cast<int64_t>(axes.of_b.size())});
  }
  return absl::OkStatus();
}

void write_integers(const std::vector<int64_t>& values, Tensor& output) {
  visit<IndexTypes>(output.dtype(), [&]<class T>() {
    T* y = output.mutable_data<T>();
    for (int64_t value : values) *y++ = static_cast<T>(value);
  });
}

StatusOr<Kernel> make_broadcast_gradient_args(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const GradientAxes axes, gradient_axes(*p.constant(0), *p.constant(1)));
  return [axes](KernelRun& r) {
    write_integers(axes.of_a, r.output(0));
    write_integers(axes.of_b, r.output(1));
    return absl::OkStatus();
  };
}

StatusOr<PartialShape> broadcast_args(const Tensor& a, const Tensor& b) {
  const std::vector<int64_t> left = integers_of(a), right = integers_of(b);
  // A negative size is a number here, not one that is not known.
  for (size_t i = 1; i <= std::min(left.size(), right.size()); ++i) {
    const int64_t x = left[left.size() - i], y = right[right.size() - i];
    if (x != y && x != 1 && y != 1) {
      return invalid_argument("Incompatible shapes for broadcasting: [", join(left, ","), "] and [",
                              join(right, ","), "]");
    }
  }
  return broadcast_shapes(PartialShape(std::span<const int64_t>(left)),
                          PartialShape(std::span<const int64_t>(right)));
}

Status broadcast_args_shape(ShapeContext& c) {
  int64_t length = 0;
  for (int i = 0; i < 2; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t own = c.input(i).has_rank() ? c.input(i)[0] : -1;
    length = own < 0 || length < 0 ? -1 : std::max(length, own);
  }
  if (c.constant(0) && c.constant(1)) {
    TENON_RETURN_IF_ERROR(broadcast_args(*c.constant(0), *c.constant(1)).status());
  }
  c.set_output(0, PartialShape{length});
  return absl::OkStatus();
}

StatusOr<Kernel> make_broadcast_args(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const PartialShape shape, broadcast_args(*p.constant(0), *p.constant(1)));
  const std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  return [dims](KernelRun& r) {
    write_integers(dims, r.output(0));
    return absl::OkStatus();
  };
}

}  // namespace

TENON_OP(BroadcastTo) = {
    .inputs = "input: T, shape: Tidx",
    .outputs = "output: T",
    .attrs = "T: type; Tidx: {int32, int64} = int32",
    .host_inputs = {1},
    .view_if_same_shape = 0,
    .shape = broadcast_to_shape,
    .gradient = broadcast_to_gradient,
    .kernels = {make_broadcast_to},
};

TENON_OP(BroadcastGradientArgs) = {
    .inputs = "s0: T, s1: T",
    .outputs = "r0: T, r1: T",
    .attrs = "T: {int32, int64} = int32",
    .host_inputs = {0, 1},
    .host_outputs = {0, 1},
    .shape = broadcast_gradient_args_shape,
    .gradient = not_differentiable,
    .kernels = {make_broadcast_gradient_args},
};

TENON_OP(BroadcastArgs) = {
    .inputs = "s0: T, s1: T",
    .outputs = "r0: T",
    .attrs = "T: {int32, int64} = int32",
    .host_inputs = {0, 1},
    .host_outputs = {0},
    .shape = broadcast_args_shape,
    .gradient = not_differentiable,
    .kernels = {make_broadcast_args},
};

}  // namespace tenon
