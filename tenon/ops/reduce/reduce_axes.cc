#include "tenon/ops/reduce/reduce_axes.h"

namespace tenon {

StatusOr<std::vector<char>> reduced_axes_of(const Tensor& axes, int rank) {
  std::vector<char> reduced(static_cast<size_t>(rank));
  for (int64_t axis : integers_of(axes)) {
    if (axis < -rank || axis >= rank) {
      return invalid_argument("Invalid reduction dimension (", axis, " for input with ", rank,
                              " dimension(s)");
    }
    char& one = reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
    if (one) {
      return invalid_argument("Invalid reduction arguments: Axes contains duplicate dimension: ",
                              axis);
    }
    one = 1;
  }
  return reduced;
}

Status reduction_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const bool keep_dims = c.attr<bool>("keep_dims");
  if (!c.constant(1) || !x.has_rank()) {
    c.set_output(
        0, keep_dims && x.has_rank() ? PartialShape::unknown_of_rank(x.rank()) : PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<char> reduced,
                         reduced_axes_of(*c.constant(1), x.rank()));
  std::vector<int64_t> dims;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (!reduced[static_cast<size_t>(axis)]) {
      dims.push_back(x[axis]);
    } else if (keep_dims) {
      dims.push_back(1);
    }
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

Rows reduction_rows(const ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (!c.constant(1) || !x.has_rank() || x.rank() == 0) return Rows::kMixed;
  const StatusOr<std::vector<char>> reduced = reduced_axes_of(*c.constant(1), x.rank());
  return reduced.ok() && !reduced->front() ? Rows::kIndependent : Rows::kMixed;
}

Endpoint reduced_mask(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint rank = b.op("Rank", {g.input(0)});
  const Endpoint flat = b.reshape(b.cast(g.input(1), DType::kInt32), std::vector<int64_t>{-1});
  const Endpoint axes = b.op("FloorMod", {b.add(flat, rank), rank});
  const Endpoint one = b.scalar<int32_t>(1), zero = b.scalar<int32_t>(0);
  const Endpoint hot = b.op("OneHot", {axes, rank, one, zero}, {{"axis", int64_t{-1}}});
  return b.sum(hot, std::vector<int64_t>{0});
}

namespace {

// The kept shape when only a run knows the axes or the rank.
Endpoint kept_shape_at_run_time(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint one = b.scalar<int32_t>(1);
  const Endpoint reduced = b.op("Equal", {reduced_mask(g), one});
  return b.op("SelectV2", {reduced, one, b.shape_of(g.input(0))});
}

}  // namespace

Value keep_reduced_dims(Gradient& g, Endpoint value) {
  GraphBuilder& b = g.build();
  if (g.attr<bool>("keep_dims")) return {&b, value};
  const Tensor* axes = g.graph().constant(g.input(1));
  if (!axes || !g.input_shape(0).has_rank()) {
    return {&b, b.reshape(value, kept_shape_at_run_time(g))};
  }
  const StatusOr<std::vector<char>> reduced = reduced_axes_of(*axes, g.input_shape(0).rank());
  if (!reduced.ok()) {
    b.fail(reduced.status());
    return {&b, value};
  }
  for (size_t axis = 0; axis < reduced->size(); ++axis) {
    if (!(*reduced)[axis]) continue;
    value = b.op("ExpandDims", {value, b.scalar(static_cast<int32_t>(axis))});
  }
  return {&b, value};
}

}  // namespace tenon
