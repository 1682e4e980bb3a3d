// Roll: elements moved along axes, those that fall off come back at the other end.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status roll_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  for (int i = 1; i < 3; ++i) {
    if (c.input(i).has_rank() && c.input(i).rank() > 1) {
      return invalid_argument(i == 1 ? "shift" : "axis",
                              " must be a scalar or a 1-D vector. Found: ", c.input(i));
    }
  }
  if (!PartialShape::merge(c.input(1), c.input(2)).ok()) {
    return invalid_argument("shift and axis must have the same size, found ", c.input(1), " and ",
                            c.input(2));
  }
  if (c.constant(2) && x.has_rank()) {
    for (int64_t axis : integers_of(*c.constant(2))) {
      TENON_RETURN_IF_ERROR(resolve_axis(axis, x.rank()).status());
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

// One copy for each combination of "before the seam" and "behind it" of the axes that move.
struct RolledPart {
  kernels::StridedCopy copy;
  int64_t from = 0, to = 0;  // element offsets
};

std::vector<RolledPart> roll_parts(const Shape& shape, const Dims& shifts) {
  const Dims strides = kernels::contiguous_strides(shape.dims());
  RolledPart whole;
  whole.copy.dims = Dims(shape.dims());
  whole.copy.source_strides = whole.copy.target_strides = strides;
  std::vector<RolledPart> parts{whole};
  for (size_t axis = 0; axis < shifts.size(); ++axis) {
    const int64_t shift = shifts[axis];
    if (shift == 0) continue;
    std::vector<RolledPart> split;
    for (const RolledPart& part : parts) {
      const int64_t size = part.copy.dims[axis];
      RolledPart& front = split.emplace_back(part);
      front.copy.dims[axis] = size - shift;
      front.to += shift * strides[axis];
      RolledPart& back = split.emplace_back(part);
      back.copy.dims[axis] = shift;
      back.from += (size - shift) * strides[axis];
    }
    parts = std::move(split);
  }
  for (RolledPart& part : parts) part.copy = kernels::simplify(part.copy);
  return parts;
}

StatusOr<Kernel> make_roll(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  const std::vector<int64_t> by = integers_of(*p.constant(1)), axes = integers_of(*p.constant(2));
  Dims shifts(static_cast<size_t>(shape.rank()), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(axes[i], shape.rank()));
    const int64_t size = std::max<int64_t>(1, shape[axis]);
    int64_t& shift = shifts[static_cast<size_t>(axis)];
    shift = ((shift + by[i] % size) % size + size) % size;
  }
  const size_t bytes = size_of(p.input_dtype(0));
  const int64_t count = shape.num_elements();
  return Kernel([=, parts = roll_parts(shape, shifts)](KernelRun& r) {
    if (count == 0) return absl::OkStatus();
    for (const RolledPart& part : parts) {
      kernels::run(part.copy, bytes, r.in<char>(0) + static_cast<size_t>(part.from) * bytes,
                   r.out<char>(0) + static_cast<size_t>(part.to) * bytes);
    }
    own_elements(r, 0, 0);
    return absl::OkStatus();
  });
}

Status roll_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  g.set_dx(0, b.op("Roll", {g.dy(), b.neg(g.input(1)), g.input(2)}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Roll) = {
    .inputs = "input: T, shift: Tshift, axis: Taxis",
    .outputs = "output: T",
    .attrs = "T: type; Tshift: {int32, int64}; Taxis: {int32, int64}",
    .host_inputs = {1, 2},
    .shape = roll_shape,
    .rows = rows_beside_axis_input<2>,
    .gradient = roll_gradient,
    .kernels = {make_roll},
};

}  // namespace tenon
