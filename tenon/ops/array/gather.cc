// Gather and GatherV2.
#include "tenon/kernels/gather.h"

#include "tenon/core/shape_context.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

// params [B.., O.., size, I..], indices [B.., C..] -> [B.., O.., C.., I..], B of `batch_dims` axes.
struct GatherAxes {
  int axis = 0;
  int batch_dims = 0;
};

StatusOr<GatherAxes> gather_axes(int64_t axis, int64_t batch_dims, int params_rank,
                                 int indices_rank) {
  GatherAxes axes;
  TENON_ASSIGN_OR_RETURN(axes.axis, resolve_axis(axis, params_rank));
  if (batch_dims < -indices_rank || batch_dims > indices_rank) {
    return invalid_argument("Expected batch_dims in the range [", -indices_rank, ", ", indices_rank,
                            "], but got ", batch_dims);
  }
  axes.batch_dims = static_cast<int>(batch_dims < 0 ? batch_dims + indices_rank : batch_dims);
  if (axes.batch_dims > axes.axis) {
    return invalid_argument("batch_dims (", axes.batch_dims,
                            ") must be less than or equal to axis (", axes.axis, ")");
  }
  return axes;
}

Status set_gather_shape(ShapeContext& c, const Tensor* axis, int64_t batch_dims) {
  const PartialShape& params = c.input(0);
  const PartialShape& indices = c.input(1);
  if (axis && axis->num_elements() != 1) {
    return invalid_argument("'axis' must be a scalar, its shape is ", axis->shape());
  }
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  if (!params.has_rank() || !indices.has_rank() || !axis) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const GatherAxes axes, gather_axes(integer_at(*axis, 0), batch_dims,
                                                            params.rank(), indices.rank()));
  std::vector<int64_t> y;
  for (int i = 0; i < axes.axis; ++i) y.push_back(params[i]);
  for (int i = 0; i < axes.batch_dims; ++i) {
    if (params[i] >= 0 && indices[i] >= 0 && params[i] != indices[i]) {
      return invalid_argument("params.shape[", i, "] (", params[i],
                              ") must be equal to indices.shape[", i, "] (", indices[i], ")");
    }
  }
  for (int i = axes.batch_dims; i < indices.rank(); ++i) y.push_back(indices[i]);
  for (int i = axes.axis + 1; i < params.rank(); ++i) y.push_back(params[i]);
  PartialShape shape{std::span<const int64_t>(y)};
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// Rows of indices look up one table, or rows of params are looked into; both, with batch_dims.
Rows rows_of_gather(const ShapeContext& c, const Tensor* axis, int64_t batch_dims) {
  const PartialShape& params = c.input(0);
  const PartialShape& indices = c.input(1);
  if (!axis || !params.has_rank() || !indices.has_rank()) return Rows::kMixed;
  const StatusOr<GatherAxes> axes =
      gather_axes(integer_at(*axis, 0), batch_dims, params.rank(), indices.rank());
  if (!axes.ok()) return Rows::kMixed;
  const bool apart = has_unknown_rows(params)
                         ? axes->axis > 0 && has_unknown_rows(indices) == (axes->batch_dims > 0)
                         : axes->axis == 0 && axes->batch_dims == 0;
  return apart ? Rows::kIndependent : Rows::kMixed;
}

Status gather_shape(ShapeContext& c) {
  static const Tensor first = Tensor::scalar<int32_t>(0);
  return set_gather_shape(c, &first, 0);
}
Status gather_v2_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  return set_gather_shape(c, c.constant(2), c.attr<int64_t>("batch_dims"));
}

Rows gather_rows(const ShapeContext& c) {
  static const Tensor first = Tensor::scalar<int32_t>(0);
  return rows_of_gather(c, &first, 0);
}
Rows gather_v2_rows(const ShapeContext& c) {
  return rows_of_gather(c, c.constant(2), c.attr<int64_t>("batch_dims"));
}

struct GatherSizes {
  int64_t batch, outer, size, inner, count;
};

template <class Index>
Kernel gather_kernel(const GatherSizes& s, size_t element_size) {
  const int64_t inner_bytes = s.inner * static_cast<int64_t>(element_size);
  return [=](KernelRun& r) {
    if (s.outer * s.count * s.inner == 0) return absl::OkStatus();
    for (int64_t i = 0; i < s.batch; ++i) {
      const Index* indices = r.in<Index>(1) + i * s.count;
      const int64_t bad = kernels::gather(
          s.outer, s.size, inner_bytes, r.in<char>(0) + i * s.outer * s.size * inner_bytes, indices,
          s.count, r.out<char>(0) + i * s.outer * s.count * inner_bytes);
      if (bad >= 0) {
        return invalid_argument("indices[", i * s.count + bad, "] = ", indices[bad],
                                " is not in [0, ", s.size, ")");
      }
    }
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_gather_along(Prepare& p, int64_t axis, int64_t batch_dims) {
  const Shape& params = p.input_shape(0);
  const Shape& indices = p.input_shape(1);
  TENON_ASSIGN_OR_RETURN(const GatherAxes axes,
                         gather_axes(axis, batch_dims, params.rank(), indices.rank()));
  const GatherSizes sizes{params.product(0, axes.batch_dims),
                          params.product(axes.batch_dims, axes.axis), params[axes.axis],
                          params.product(axes.axis + 1, params.rank()),
                          indices.product(axes.batch_dims, indices.rank())};
  Kernel kernel;
  visit<TypeList<int16_t, int32_t, int64_t>>(p.input_dtype(1), [&]<class Index>() {
    kernel = gather_kernel<Index>(sizes, size_of(p.input_dtype(0)));
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " has no CPU kernel for indices of dtype ",
                         p.input_dtype(1));
  }
  return kernel;
}

StatusOr<Kernel> make_gather(Prepare& p) { return make_gather_along(p, 0, 0); }
StatusOr<Kernel> make_gather_v2(Prepare& p) {
  return make_gather_along(p, integer_at(*p.constant(2), 0), p.attr<int64_t>("batch_dims"));
}

// Rows of dy are added to the rows of dx that they came from, over [batch * outer * size, inner]:
// row (i, o, index) is segment (i * outer + o) * size + index. `axis` is an int32 scalar.
Status gather_gradient_along(Gradient& g, Value axis, bool axis_is_0, int64_t batch_dims) {
  GraphBuilder* b = axis.builder;
  const Value shape{b, b->shape_of(g.input(0))};
  const Value zero = axis.like(0), one = axis.like(1),
              batch = axis.like(static_cast<double>(batch_dims));
  const auto pick = [&](Value begin, Value end) {  // product of those dimensions
    const Endpoint first = b->reshape(begin, b->integers({1}));
    const Endpoint count = b->reshape(end - begin, b->integers({1}));
    return Value{b, b->op("Prod", {b->op("Slice", {shape, first, count}), zero})};
  };
  const Value rank{b, b->op("Rank", {g.input(0)})};
  const Value lead = pick(zero, batch), outer = pick(batch, axis);
  const Value size = pick(axis, axis + one), inner = pick(axis + one, rank);
  Value segments = cast(Value{b, g.input(1)}, DType::kInt64);
  if (!axis_is_0) {
    const Value places{b, b->op("Range", {zero, lead * outer, one})};
    const Value base = cast(places, DType::kInt64) * cast(size, DType::kInt64);
    // -1 does not resolve an empty batch; the count of indices is what is left.
    const Value total{b, b->op("Size", {g.input(1)})};
    const Value count = apply("FloorDiv", total, apply("Maximum", lead, one));
    const Value rows{b, b->reshape(base, b->op("Pack", {lead, outer, one}))};
    const Value columns{b, b->reshape(segments, b->op("Pack", {lead, one, count}))};
    segments = rows + columns;
  }
  const Endpoint flat = b->reshape(segments, b->integers({-1}));
  const Endpoint matrix = b->op("Pack", {b->op("Size", {flat}), inner});
  const Endpoint sums =
      b->op("UnsortedSegmentSum", {b->reshape(g.dy(), matrix), flat, lead * outer * size});
  g.set_dx(0, b->reshape(sums, shape));
  return absl::OkStatus();
}

Status gather_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  return gather_gradient_along(g, {&b, b.scalar<int32_t>(0)}, true, 0);
}

Status gather_v2_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  int64_t batch_dims = g.attr<int64_t>("batch_dims");
  if (batch_dims < 0) {
    if (!g.input_shape(1).has_rank()) {
      return unimplemented(
          "the gradient of GatherV2 with negative batch_dims needs indices of "
          "known rank");
    }
    batch_dims += g.input_shape(1).rank();
  }
  const Tensor* axis = g.graph().constant(g.input(2));
  const Value rank{b, b->op("Rank", {g.input(0)})};
  const Value place = apply("FloorMod", cast(Value{b, g.input(2)}, DType::kInt32), rank);
  return gather_gradient_along(g, place, axis && integer_at(*axis, 0) == 0, batch_dims);
}

}  // namespace

TENON_OP(Gather) = {
    .inputs = "params: Tparams, indices: Tindices",
    .outputs = "output: Tparams",
    .attrs = "validate_indices: bool = true; Tparams: type; Tindices: {int32, int64}",
    .shape = gather_shape,
    .rows = gather_rows,
    .gradient = gather_gradient,
    .kernels = {make_gather},
};

TENON_OP(GatherV2) = {
    .inputs = "params: Tparams, indices: Tindices, axis: Taxis",
    .outputs = "output: Tparams",
    .attrs =
        "batch_dims: int = 0; Tparams: type; Tindices: {int16, int32, int64}; "
        "Taxis: {int32, int64}",
    .host_inputs = {2},
    .shape = gather_v2_shape,
    .rows = gather_v2_rows,
    .gradient = gather_v2_gradient,
    .kernels = {make_gather_v2},
};

}  // namespace tenon
