#include "tenon/core/shape_context.h"

#include <algorithm>
#include <limits>

namespace tenon {

Status ShapeContext::expect_rank(int index, int rank) const {
  const PartialShape& shape = input(index);
  if (!shape.has_rank() || shape.rank() == rank) return absl::OkStatus();
  return invalid_argument("input ", index, " must have rank ", rank, ", its shape is ", shape);
}

Status ShapeContext::expect_rank_at_least(int index, int rank) const {
  const PartialShape& shape = input(index);
  if (!shape.has_rank() || shape.rank() >= rank) return absl::OkStatus();
  return invalid_argument("input ", index, " must have rank ", rank, " or more, its shape is ",
                          shape);
}

StatusOr<PartialShape> ShapeContext::shape_from_input(int index) const {
  TENON_RETURN_IF_ERROR(expect_rank(index, 1));
  if (const Tensor* value = constant(index)) {
    const std::vector<int64_t> dims = integers_of(*value);
    if (dims.size() > kMaxRank) {
      return invalid_argument("input ", index, " asks for rank ", dims.size(), ", at most ",
                              kMaxRank, " is possible");
    }
    for (int64_t dim : dims) {
      if (dim < -1) return invalid_argument("input ", index, " asks for the dimension ", dim);
    }
    return PartialShape(std::span<const int64_t>(dims));
  }
  const PartialShape& shape = input(index);
  if (shape.has_rank() && shape[0] >= 0 && shape[0] <= kMaxRank) {
    return PartialShape::unknown_of_rank(static_cast<int>(shape[0]));
  }
  return PartialShape();
}

StatusOr<int> resolve_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return invalid_argument("axis ", axis, " is outside [", -rank, ", ", rank, ")");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Rows rows_beside_axis(int64_t axis, int rank) {
  const StatusOr<int> resolved = resolve_axis(axis, rank);
  return resolved.ok() && *resolved > 0 ? Rows::kIndependent : Rows::kMixed;
}

StatusOr<std::vector<int>> resolve_axes(const Tensor& axes, int rank) {
  std::vector<int> resolved;
  for (int64_t axis : integers_of(axes)) {
    TENON_ASSIGN_OR_RETURN(int one, resolve_axis(axis, rank));
    if (std::find(resolved.begin(), resolved.end(), one) != resolved.end()) {
      return invalid_argument("axis ", axis, " is named twice");
    }
    resolved.push_back(one);
  }
  std::sort(resolved.begin(), resolved.end());
  return resolved;
}

StatusOr<PartialShape> broadcast_shapes(const PartialShape& a, const PartialShape& b) {
  if (!a.has_rank() || !b.has_rank()) return PartialShape();
  const int rank = std::max(a.rank(), b.rank());
  PartialShape out = PartialShape::unknown_of_rank(rank);
  for (int axis = 0; axis < rank; ++axis) {
    const int in_a = axis - (rank - a.rank());
    const int in_b = axis - (rank - b.rank());
    const int64_t da = in_a < 0 ? 1 : a[in_a];
    const int64_t db = in_b < 0 ? 1 : b[in_b];
    if (da == 1 || db == 1) {
      out.set(axis, da == 1 ? db : da);
    } else if (da >= 0 && db >= 0 && da != db) {
      return invalid_argument("Incompatible shapes: ", a, " vs. ", b);
    } else if (da < 0 && db < 0) {
      // One of them may turn out to be 1.
      out.set(axis, da == db ? da : -1);
    } else {
      out.set(axis, da >= 0 ? da : db);
    }
  }
  return out;
}

StatusOr<Shape> broadcast_shapes(const Shape& a, const Shape& b) {
  TENON_ASSIGN_OR_RETURN(PartialShape out, broadcast_shapes(PartialShape(a), PartialShape(b)));
  return out.to_shape();
}

StatusOr<int64_t> add_dims(int64_t a, int64_t b) {
  if (a < 0 || b < 0) return -1;
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return invalid_argument("the dimensions ", a, " and ", b, " have a sum that does not fit");
}

StatusOr<int64_t> multiply_dims(int64_t a, int64_t b) {
  if (a < 0 || b < 0) return -1;
  int64_t product = 0;
  if (!__builtin_mul_overflow(a, b, &product)) return product;
  return invalid_argument("Encountered overflow when multiplying ", a, " with ", b);
}

StatusOr<Window> window_output(int64_t input, int64_t filter, int64_t dilation, int64_t stride,
                               std::string_view padding, int64_t before, int64_t after) {
  if (stride <= 0) return invalid_argument("the stride is ", stride, ", it must be positive");
  if (dilation <= 0) return invalid_argument("the dilation is ", dilation, ", it must be positive");
  Window window;
  if (input < 0 && stride == 1 && padding == "SAME") window.output = input;
  if (input < 0 || filter < 0) return window;
#if defined(__SIZEOF_INT128__)
  // 128 bits hold whatever three int64 make of each other; results are checked.
  using Wide = __int128;
#else
  // Nothing that 32 bits address has longer dimensions, and 64 bits hold what these make.
  using Wide = int64_t;
  for (const int64_t size : {input, filter, dilation, stride, before, after}) {
    if (size >= int64_t{1} << 30 || size <= -(int64_t{1} << 30)) {
      return invalid_argument("a window has a size of ", size, ", at most 2^30 is possible");
    }
  }
#endif
  constexpr Wide kMost = std::numeric_limits<int64_t>::max();
  const Wide effective = (Wide{filter} - 1) * dilation + 1;
  if (effective > kMost || before < 0 || after < 0) {
    return invalid_argument("a window of ", filter, " with dilation ", dilation, " and padding ",
                            before, " and ", after, " does not fit in int64");
  }
  if (padding == "SAME") {
    window.output = static_cast<int64_t>((Wide{input} + stride - 1) / stride);
    const auto needed = static_cast<int64_t>(
        std::max<Wide>((Wide{window.output} - 1) * stride + effective - input, 0));
    window.before = needed / 2;
    window.after = needed - window.before;
    return window;
  }
  if (padding == "EXPLICIT") {
    window.before = before;
    window.after = after;
  }
  const Wide room = Wide{input} + window.before + window.after - effective + stride;
  window.output = static_cast<int64_t>(std::min(room / stride, kMost));
  if (room < 0 || room / stride > kMost) {
    return invalid_argument("a window of ", static_cast<int64_t>(effective),
                            " does not fit an input of ", input, " with padding ", window.before,
                            " and ", window.after);
  }
  return window;
}

Status scalar_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, Shape());
  return absl::OkStatus();
}

Status unknown_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, PartialShape());
  return absl::OkStatus();
}

Status no_outputs(ShapeContext&) { return absl::OkStatus(); }

Status broadcast_inputs(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape out, broadcast_shapes(c.input(0), c.input(1)));
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, out);
  return absl::OkStatus();
}

}  // namespace tenon
