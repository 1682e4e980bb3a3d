// Select (v1: a vector condition chooses rows) and SelectV2 (broadcasts).
#include "tenon/core/shape_context.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

Status select_shape(ShapeContext& c) {
  const StatusOr<PartialShape> data = PartialShape::merge(c.input(1), c.input(2));
  if (!data.ok()) {
    return invalid_argument("'t' and 'e' must have the same shape, they have ", c.input(1), " and ",
                            c.input(2));
  }
  const PartialShape& condition = c.input(0);
  c.set_output(0, *data);
  if (!condition.has_rank() || condition.rank() == 0 || !data->has_rank()) return absl::OkStatus();
  if (condition.rank() == 1 && data->rank() > 1) {
    if (PartialShape::merge(condition, PartialShape{(*data)[0]}).ok()) return absl::OkStatus();
    return invalid_argument("'condition' has ", condition[0], " elements, 't' has ", (*data)[0],
                            " rows");
  }
  StatusOr<PartialShape> all = PartialShape::merge(condition, *data);
  if (!all.ok()) {
    return invalid_argument("'condition' has shape ", condition, ", 't' and 'e' have ", *data);
  }
  c.set_output(0, *std::move(all));
  return absl::OkStatus();
}

Status select_v2_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape data, broadcast_shapes(c.input(1), c.input(2)));
  TENON_ASSIGN_OR_RETURN(PartialShape y, broadcast_shapes(c.input(0), data));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_select_of(Prepare& p, const Shape& condition) {
  TENON_ASSIGN_OR_RETURN(
      const kernels::BroadcastPlan plan,
      kernels::plan_broadcast(std::vector<Shape>{condition, p.input_shape(1), p.input_shape(2)}));
  const size_t size = size_of(p.output_dtype(0));
  for (int i = 1; i < 3; ++i) {
    if (p.input_shape(i) == plan.shape && !is_object(p.output_dtype(0))) p.may_overwrite(i, 0);
  }
  return [=](KernelRun& r) {
    kernels::run_select(plan, size, r.in<bool>(0), r.input(1).raw(), r.input(2).raw(),
                        r.output(0).mutable_raw());
    own_elements(r, 0, 1, 2);
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_select_v2(Prepare& p) { return make_select_of(p, p.input_shape(0)); }

StatusOr<Kernel> make_select(Prepare& p) {
  Shape condition = p.input_shape(0);
  // One truth value a row.
  if (condition.rank() == 1) {
    for (int i = 1; i < p.input_shape(1).rank(); ++i) condition.append(1);
  }
  return make_select_of(p, condition);
}

Status select_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint zeros = b.zeros_like(g.input(1));
  g.set_dx(1, b.op("Select", {g.input(0), g.dy(), zeros}));
  g.set_dx(2, b.op("Select", {g.input(0), zeros, g.dy()}));
  return absl::OkStatus();
}

Status select_v2_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value condition{b, g.input(0)}, dy{b, g.dy()};
  const Value zero = dy.like(0);
  g.set_dx_broadcast(1, select(condition, dy, zero));
  g.set_dx_broadcast(2, select(condition, zero, dy));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Select) = {
    .inputs = "condition: bool, t: T, e: T",
    .outputs = "output: T",
    .attrs = "T: type",
    .shape = select_shape,
    .rows = Rows::kIndependent,
    .gradient = select_gradient,
    .kernels = {make_select},
};

TENON_OP(SelectV2) = {
    .inputs = "condition: bool, t: T, e: T",
    .outputs = "output: T",
    .attrs = "T: type",
    .shape = select_v2_shape,
    .rows = Rows::kIndependent,
    .gradient = select_v2_gradient,
    .kernels = {make_select_v2},
};

}  // namespace tenon
