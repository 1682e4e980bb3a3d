// Pack (tf.stack) and Unpack (tf.unstack).
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status pack_shape(ShapeContext& c) {
  PartialShape one;
  for (int i = 0; i < c.num_inputs(); ++i) {
    StatusOr<PartialShape> merged = PartialShape::merge(one, c.input(i));
    if (!merged.ok()) {
      return invalid_argument("Shapes of all inputs must match: values[0].shape = ", c.input(0),
                              " != values[", i, "].shape = ", c.input(i));
    }
    one = *std::move(merged);
  }
  if (!one.has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(c.attr<int64_t>("axis"), one.rank() + 1));
  PartialShape y = PartialShape::unknown_of_rank(one.rank() + 1);
  for (int i = 0; i < y.rank(); ++i) {
    y.set(i, i == axis ? c.num_inputs() : one[i < axis ? i : i - 1]);
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

Rows pack_rows(const ShapeContext& c) {
  if (!c.input(0).has_rank()) return Rows::kMixed;
  return rows_beside_axis(c.attr<int64_t>("axis"), c.input(0).rank() + 1);
}
Rows unpack_rows(const ShapeContext& c) {
  if (!c.input(0).has_rank()) return Rows::kMixed;
  return rows_beside_axis(c.attr<int64_t>("axis"), c.input(0).rank());
}

Status unpack_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  PartialShape y;
  if (x.has_rank()) {
    TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(c.attr<int64_t>("axis"), x.rank()));
    if (x[axis] >= 0 && x[axis] != c.num_outputs()) {
      return invalid_argument("Input shape axis ", axis, " must equal ", c.num_outputs(),
                              ", got shape ", x);
    }
    y = PartialShape::unknown_of_rank(x.rank() - 1);
    for (int i = 0; i < y.rank(); ++i) y.set(i, x[i < axis ? i : i + 1]);
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, y);
  return absl::OkStatus();
}

// Both move between `parts` tensors and one tensor that has `parts` along `axis` of `whole`.
struct PackLayout {
  size_t element_size;
  int64_t outer;
  int64_t inner;
  std::vector<int64_t> sizes;
};

StatusOr<PackLayout> pack_layout(Prepare& p, const Shape& whole) {
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(p.attr<int64_t>("axis"), whole.rank()));
  return PackLayout{size_of(p.input_dtype(0)), whole.product(0, axis),
                    whole.product(axis + 1, whole.rank()),
                    std::vector<int64_t>(static_cast<size_t>(whole[axis]), 1)};
}

StatusOr<Kernel> make_pack(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const PackLayout layout, pack_layout(p, p.output_shape(0).to_shape()));
  p.reserve_scratch(layout.sizes.size() * sizeof(const void*));
  return [layout](KernelRun& r) {
    const auto count = layout.sizes.size();
    const std::span<const void*> inputs(r.scratch<const void*>(), count);
    for (size_t i = 0; i < count; ++i) inputs[i] = r.input(static_cast<int>(i)).raw();
    kernels::concat(layout.element_size, layout.outer, layout.sizes, layout.inner, inputs,
                    r.output(0).mutable_raw());
    own_elements(r, 0, 0, static_cast<int>(count));
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_unpack(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const PackLayout layout, pack_layout(p, p.input_shape(0)));
  p.reserve_scratch(layout.sizes.size() * sizeof(void*));
  return [layout](KernelRun& r) {
    const auto count = layout.sizes.size();
    const std::span<void*> outputs(r.scratch<void*>(), count);
    for (size_t i = 0; i < count; ++i) outputs[i] = r.output(static_cast<int>(i)).mutable_raw();
    kernels::split(layout.element_size, layout.outer, layout.sizes, layout.inner, r.input(0).raw(),
                   outputs);
    for (size_t i = 0; i < count; ++i) own_elements(r, static_cast<int>(i), 0);
    return absl::OkStatus();
  };
}

Status pack_gradient(Gradient& g) {
  const std::vector<Endpoint> parts = g.build().ops(
      "Unpack", {g.dy()},
      {{"num", static_cast<int64_t>(g.num_inputs())}, {"axis", g.attr<int64_t>("axis")}});
  for (size_t i = 0; i < parts.size(); ++i) g.set_dx(static_cast<int>(i), parts[i]);
  return absl::OkStatus();
}

Status unpack_gradient(Gradient& g) {
  std::vector<Endpoint> parts;
  for (int i = 0; i < g.num_outputs(); ++i) parts.push_back(g.dy(i));
  if (parts.empty()) return absl::OkStatus();
  g.set_dx(0, g.build().op("Pack", parts, {{"axis", g.attr<int64_t>("axis")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Pack) = {
    .inputs = "values: N * T",
    .outputs = "output: T",
    .attrs = "N: int >= 1; T: type; axis: int = 0",
    .shape = pack_shape,
    .rows = pack_rows,
    .gradient = pack_gradient,
    .kernels = {make_pack},
};

TENON_OP(Unpack) = {
    .inputs = "value: T",
    .outputs = "output: num * T",
    .attrs = "num: int >= 0; T: type; axis: int = 0",
    .shape = unpack_shape,
    .rows = unpack_rows,
    .gradient = unpack_gradient,
    .kernels = {make_unpack},
};

}  // namespace tenon
