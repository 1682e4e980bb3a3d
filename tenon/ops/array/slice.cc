#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// A size of -1 is all that is left.
StatusOr<Shape> sliced(const Shape& x, const std::vector<int64_t>& begin,
                       const std::vector<int64_t>& size) {
  Shape y = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t first = begin[static_cast<size_t>(axis)];
    int64_t count = size[static_cast<size_t>(axis)];
    if (first < 0 || first > x[axis]) {
      return invalid_argument("Expected begin[", axis, "] in [0, ", x[axis], "], but got ", first);
    }
    if (count == -1) count = x[axis] - first;
    if (count < 0 || count > x[axis] - first) {
      return invalid_argument("Expected size[", axis, "] in [0, ", x[axis] - first, "], but got ",
                              count);
    }
    y.set(axis, count);
  }
  return y;
}

Rows slice_rows(const ShapeContext& c) {
  const Tensor* begin = c.constant(1);
  const Tensor* size = c.constant(2);
  const bool whole = begin && size && begin->num_elements() > 0 && size->num_elements() > 0 &&
                     integer_at(*begin, 0) == 0 && integer_at(*size, 0) == -1;
  return whole ? Rows::kIndependent : Rows::kMixed;
}

Status slice_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  int64_t rank = x.has_rank() ? x.rank() : -1;
  for (int i = 1; i < 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t own = c.input(i).has_rank() ? c.input(i)[0] : -1;
    if (own >= 0 && rank >= 0 && own != rank) {
      return invalid_argument("'begin' and 'size' must have one element for each of ", rank,
                              " dimensions, input ", i, " has ", own);
    }
    rank = std::max(rank, own);
  }
  if (rank > kMaxRank) return invalid_argument("a slice has ", rank, " dimensions");
  if (rank < 0) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  PartialShape y = PartialShape::unknown_of_rank(static_cast<int>(rank));
  if (const Tensor* size = c.constant(2)) {
    const std::vector<int64_t> sizes = integers_of(*size);
    if (x.is_fully_known() && c.constant(1)) {
      TENON_ASSIGN_OR_RETURN(Shape known, sliced(x.to_shape(), integers_of(*c.constant(1)), sizes));
      c.set_output(0, std::move(known));
      return absl::OkStatus();
    }
    for (int axis = 0; axis < y.rank(); ++axis) {
      const int64_t own = sizes[static_cast<size_t>(axis)];
      const bool whole =
          own == -1 && c.constant(1) && x.has_rank() && integer_at(*c.constant(1), axis) == 0;
      y.set(axis, whole ? x[axis] : std::max<int64_t>(own, -1));
    }
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_slice(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  const std::vector<int64_t> begin = integers_of(*p.constant(1));
  const Shape result = p.output_shape(0).to_shape();
  kernels::StridedCopy copy;
  copy.dims = Dims(result.dims());
  copy.source_strides = kernels::contiguous_strides(shape.dims());
  copy.target_strides = kernels::contiguous_strides(result.dims());
  int64_t offset = 0;
  if (result.num_elements() > 0) {
    for (size_t i = 0; i < begin.size(); ++i) offset += begin[i] * copy.source_strides[i];
  }
  copy = kernels::simplify(copy);
  const size_t size = size_of(p.input_dtype(0));
  return [=](KernelRun& r) {
    kernels::run(copy, size, r.in<char>(0) + offset * static_cast<int64_t>(size),
                 r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

// dy padded with zeros to the input's shape (array_grad.py, _SliceGrad).
Status slice_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint begin = b.cast(g.input(1), DType::kInt32);
  const Endpoint after = b.sub(b.sub(b.shape_of(g.input(0)), b.shape_of(g.output(0))), begin);
  const Endpoint paddings = b.op("Pack", {begin, after}, {{"axis", int64_t{1}}});
  g.set_dx(0, b.op("Pad", {g.dy(), paddings}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Slice) = {
    .inputs = "input: T, begin: Index, size: Index",
    .outputs = "output: T",
    .attrs = "T: type; Index: {int32, int64}",
    .host_inputs = {1, 2},
    .view_if_same_shape = 0,
    .shape = slice_shape,
    .rows = slice_rows,
    .gradient = slice_gradient,
    .kernels = {make_slice},
};

}  // namespace tenon
