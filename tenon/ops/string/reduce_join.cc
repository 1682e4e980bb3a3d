// ReduceJoin: strings joined along axes, first along the one that is given first.
// UnsortedSegmentJoin: strings joined by segment.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/kernels/strided_copy.h"

namespace tenon {
namespace {

// In the order given: it decides how strings are joined.
StatusOr<std::vector<int>> ordered_axes(const Tensor& axes, int rank) {
  std::vector<int> resolved;
  for (int64_t axis : integers_of(axes)) {
    if (axis < -rank || axis >= rank) {
      return out_of_range("Invalid reduction dimension ", axis, " for input with ", rank,
                          " dimension(s)");
    }
    const int at = static_cast<int>(axis < 0 ? axis + rank : axis);
    if (std::find(resolved.begin(), resolved.end(), at) != resolved.end()) {
      return invalid_argument("Duplicate reduction dimension ", at);
    }
    resolved.push_back(at);
  }
  return resolved;
}

Status reduce_join_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const Tensor* axes = c.constant(1);
  if (!x.has_rank() || !axes) return unknown_shape(c);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> reduced, ordered_axes(*axes, x.rank()));
  std::vector<int64_t> dims;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (std::find(reduced.begin(), reduced.end(), axis) == reduced.end()) {
      dims.push_back(x[axis]);
    } else if (c.attr<bool>("keep_dims")) {
      dims.push_back(1);
    }
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

// Offsets of all places of a box, the last axis fastest.
std::vector<int64_t> offsets_of(const Dims& sizes, const Dims& steps) {
  std::vector<int64_t> offsets{0};
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    std::vector<int64_t> next;
    next.reserve(offsets.size() * static_cast<size_t>(sizes[axis]));
    for (int64_t offset : offsets) {
      for (int64_t i = 0; i < sizes[axis]; ++i) next.push_back(offset + i * steps[axis]);
    }
    offsets = std::move(next);
  }
  return offsets;
}

StatusOr<Kernel> make_reduce_join(Prepare& p) {
  const Shape& x = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> reduced, ordered_axes(*p.constant(1), x.rank()));
  const Dims strides = kernels::contiguous_strides(x.dims());
  Dims kept_sizes, kept_steps, joined_sizes, joined_steps;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (std::find(reduced.begin(), reduced.end(), axis) != reduced.end()) continue;
    kept_sizes.push_back(x[axis]);
    kept_steps.push_back(strides[static_cast<size_t>(axis)]);
  }
  for (auto axis = reduced.rbegin(); axis != reduced.rend(); ++axis) {
    joined_sizes.push_back(x[*axis]);
    joined_steps.push_back(strides[static_cast<size_t>(*axis)]);
  }
  return Kernel([kept = offsets_of(kept_sizes, kept_steps),
                 joined = offsets_of(joined_sizes, joined_steps),
                 shape = p.output_shape(0).to_shape(),
                 separator = p.attr<std::string>("separator")](KernelRun& r) {
    const auto* texts = r.in<std::string_view>(0);
    StringTensorBuilder builder(shape);
    std::string text;
    for (size_t i = 0; i < kept.size(); ++i) {
      text.clear();
      for (size_t j = 0; j < joined.size(); ++j) {
        if (j > 0) text += separator;
        text += texts[kept[i] + joined[j]];
      }
      builder.set(static_cast<int64_t>(i), text);
    }
    r.set_output(0, std::move(builder).build());
    return absl::OkStatus();
  });
}

Status segment_join_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const PartialShape& ids = c.input(1);
  const Tensor* segments = c.constant(2);
  if (segments && (segments->rank() != 0 || integer_at(*segments, 0) < 0)) {
    return invalid_argument("num_segments must be a scalar that is not negative");
  }
  if (!x.has_rank() || !ids.has_rank()) return unknown_shape(c);
  if (ids.rank() == 0) return invalid_argument("segment_ids cannot have rank 0");
  if (ids.rank() > x.rank()) {
    return out_of_range("segment_ids' shape ", ids, " does not begin the inputs' shape ", x);
  }
  std::vector<int64_t> dims{segments ? integer_at(*segments, 0) : -1};
  for (int axis = 0; axis < ids.rank(); ++axis) {
    if (x[axis] >= 0 && ids[axis] >= 0 && x[axis] != ids[axis]) {
      return invalid_argument("segment_ids' shape ", ids, " does not begin the inputs' shape ", x);
    }
  }
  for (int axis = ids.rank(); axis < x.rank(); ++axis) dims.push_back(x[axis]);
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_segment_join(Prepare& p) {
  return Kernel([shape = p.output_shape(0).to_shape(), rows = p.input_shape(1).num_elements(),
                 separator = p.attr<std::string>("separator")](KernelRun& r) -> Status {
    const int64_t inner = shape.product(1, shape.rank());
    std::vector<std::string> joined(static_cast<size_t>(shape.num_elements()));
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t segment = integer_at(r.input(1), row);
      if (segment < 0 || segment >= shape[0]) {
        return invalid_argument("segment_ids[", row, "] = ", segment, " is out of range [0, ",
                                shape[0], ")");
      }
      for (int64_t i = 0; i < inner; ++i) {
        std::string& text = joined[static_cast<size_t>(segment * inner + i)];
        if (!text.empty()) text += separator;  // empty strings at the start leave no trace
        text += r.in<std::string_view>(0)[row * inner + i];
      }
    }
    r.set_output(0, Tensor::strings(shape, joined));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(ReduceJoin) = {
    .inputs = "inputs: string, reduction_indices: int32",
    .outputs = "output: string",
    .attrs = "keep_dims: bool = false; separator: string = ''",
    .host_inputs = {1},
    .supplies_outputs = true,
    .shape = reduce_join_shape,
    .gradient = not_differentiable,
    .kernels = {make_reduce_join},
};

TENON_OP(UnsortedSegmentJoin) = {
    .inputs = "inputs: string, segment_ids: Tindices, num_segments: Tnumsegments",
    .outputs = "output: string",
    .attrs =
        "separator: string = ''; Tindices: {int32, int64}; "
        "Tnumsegments: {int32, int64} = int32",
    .host_inputs = {2},
    .supplies_outputs = true,
    .shape = segment_join_shape,
    .gradient = not_differentiable,
    .kernels = {make_segment_join},
};

}  // namespace tenon
