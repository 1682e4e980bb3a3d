#include "tenon/ops/array/strided_slice.h"

#include <bit>
#include <cstring>

#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {

StridedSliceMasks StridedSliceMasks::of(const AttrMap& attrs) {
  return {attrs.get<int64_t>("begin_mask"), attrs.get<int64_t>("end_mask"),
          attrs.get<int64_t>("ellipsis_mask"), attrs.get<int64_t>("new_axis_mask"),
          attrs.get<int64_t>("shrink_axis_mask")};
}

kernels::StridedCopy StridedSlice::copy(const Shape& input, int64_t& offset) const {
  kernels::StridedCopy copy;
  copy.dims = size;
  copy.source_strides = kernels::contiguous_strides(input.dims());
  copy.target_strides = kernels::contiguous_strides(size.span());
  offset = 0;
  for (size_t axis = 0; axis < size.size(); ++axis) {
    if (size[axis] > 0) offset += begin[axis] * copy.source_strides[axis];
    // An axis of one element takes no step, so its step may be any int64_t.
    copy.source_strides[axis] *= size[axis] > 1 ? stride[axis] : 0;
  }
  return copy;
}

namespace {

constexpr int64_t kStridedSliceMost = 32;  // indices: the masks have a bit for each

bool has_bit(int64_t mask, int64_t i) { return ((mask >> i) & 1) != 0; }

// One axis: which index it belongs to, or none (covered by the ellipsis).
struct SlicedAxis {
  int64_t index = -1;
};
// One axis of the result.
struct ResultAxis {
  int axis = -1;  // of the input; -1: new, of size 1
};

struct SlicedLayout {
  std::vector<SlicedAxis> axes;
  std::vector<ResultAxis> result;
};

StatusOr<SlicedLayout> lay_out(int rank, int64_t count, const StridedSliceMasks& masks) {
  SlicedLayout layout;
  bool seen_ellipsis = false;
  int64_t new_after_ellipsis = 0;
  if (std::popcount(static_cast<uint32_t>(masks.ellipsis)) > 1) {
    return invalid_argument("Multiple ellipses in slice spec not allowed");
  }
  for (int64_t i = 0; i < count; ++i) {
    if (seen_ellipsis && has_bit(masks.new_axis, i)) ++new_after_ellipsis;
    seen_ellipsis |= has_bit(masks.ellipsis, i);
  }
  const auto take = [&](int64_t index, bool shrink) {
    if (!shrink) layout.result.push_back({static_cast<int>(layout.axes.size())});
    layout.axes.push_back({index});
  };
  for (int64_t i = 0; i < count; ++i) {
    if (has_bit(masks.ellipsis, i)) {
      const int64_t stop = std::min<int64_t>(rank - (count - i) + 1 + new_after_ellipsis, rank);
      while (static_cast<int64_t>(layout.axes.size()) < stop) take(-1, false);
    } else if (has_bit(masks.new_axis, i)) {
      layout.result.push_back({});
    } else if (static_cast<int>(layout.axes.size()) == rank) {
      return invalid_argument("Index out of range using input dim ", rank, "; input has only ",
                              rank, " dims");
    } else {
      take(i, has_bit(masks.shrink, i));
    }
  }
  if (!seen_ellipsis) {
    while (static_cast<int>(layout.axes.size()) < rank) take(-1, false);
  } else if (static_cast<int>(layout.axes.size()) < rank) {
    return invalid_argument("the slice covers ", layout.axes.size(), " of ", rank, " dimensions");
  }
  return layout;
}

// begin and size of one axis of size `dim` from values that are all known.
Status slice_axis(int64_t dim, int64_t i, const Tensor& begins, const Tensor& ends, int64_t stride,
                  const StridedSliceMasks& masks, int64_t& begin, int64_t& size) {
  const int64_t first = stride > 0 ? 0 : -1;  // valid positions are [first, last]
  const int64_t last = stride > 0 ? dim : dim - 1;
  const int64_t wanted = integer_at(begins, i);
  if (has_bit(masks.shrink, i)) {
    begin = wanted < 0 ? wanted + dim : wanted;
    size = 1;
    if (begin < 0 || begin >= dim) {
      return invalid_argument("slice index ", wanted, " of dimension ", i, " out of bounds");
    }
    return absl::OkStatus();
  }
  const auto canonical = [&](int64_t x) { return std::clamp(x < 0 ? x + dim : x, first, last); };
  begin = has_bit(masks.begin, i) ? (stride > 0 ? first : last) : canonical(wanted);
  const int64_t end =
      has_bit(masks.end, i) ? (stride > 0 ? last : first) : canonical(integer_at(ends, i));
  const int64_t length = end - begin;
  size = length == 0 || (length < 0) != (stride < 0)
             ? 0
             : length / stride + (length % stride != 0 ? 1 : 0);
  return absl::OkStatus();
}

}  // namespace

StatusOr<StridedSlice> resolve_strided_slice(const PartialShape& input, const Tensor* begin,
                                             const Tensor* end, const Tensor* strides,
                                             int64_t count, const StridedSliceMasks& masks) {
  if (count > kStridedSliceMost) {
    return invalid_argument("a slice has ", count, " indices, at most ", kStridedSliceMost,
                            " are possible");
  }
  TENON_ASSIGN_OR_RETURN(const SlicedLayout layout, lay_out(input.rank(), count, masks));
  StridedSlice slice;
  for (size_t axis = 0; axis < layout.axes.size(); ++axis) {
    const int64_t dim = input[static_cast<int>(axis)];
    const int64_t i = layout.axes[axis].index;
    int64_t first = 0, step = 1, size = dim;
    if (i >= 0) {
      if (strides) step = integer_at(*strides, i);
      if (step == 0) return invalid_argument("strides[", i, "] must be non-zero");
      const bool shrink = has_bit(masks.shrink, i);
      if (shrink && step < 0) {
        return invalid_argument("only stride 1 allowed on non-range indexing.");
      }
      const bool whole = has_bit(masks.begin, i) && has_bit(masks.end, i) && strides && step == 1;
      if (begin && end && strides && dim >= 0) {
        TENON_RETURN_IF_ERROR(slice_axis(dim, i, *begin, *end, step, masks, first, size));
      } else {
        size = shrink ? 1 : whole ? dim : -1;
      }
    }
    slice.begin.push_back(first);
    slice.stride.push_back(step);
    slice.size.push_back(size);
  }
  std::vector<int64_t> shape;
  for (const ResultAxis& result : layout.result) {
    shape.push_back(result.axis < 0 ? 1 : slice.size[static_cast<size_t>(result.axis)]);
  }
  slice.shape = PartialShape(std::span<const int64_t>(shape));
  return slice;
}

namespace {

// Input `first` of begin, end, strides: their common length; -1 when not known.
StatusOr<int64_t> index_count(ShapeContext& c, int first) {
  int64_t count = -1;
  for (int i = first; i < first + 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t own = c.input(i).has_rank() ? c.input(i)[0] : -1;
    if (own >= 0 && count >= 0 && own != count) {
      return invalid_argument("begin, end and strides must have equal lengths, found ", count,
                              " and ", own);
    }
    count = std::max(count, own);
  }
  return count;
}

Status strided_slice_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const int64_t count, index_count(c, 1));
  if (count < 0 || !c.input(0).has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(
      StridedSlice slice,
      resolve_strided_slice(c.input(0), c.constant(1), c.constant(2), c.constant(3), count,
                            StridedSliceMasks::of(c.attrs())));
  c.set_output(0, std::move(slice.shape));
  return absl::OkStatus();
}

// All rows, in their order: axis 0 is taken whole and stays the first.
Rows strided_slice_rows(const ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const PartialShape& indices = c.input(1);
  const Tensor* begin = c.constant(1);
  const Tensor* strides = c.constant(3);
  if (!x.has_rank() || x.rank() == 0 || !begin || !strides || indices.rank() != 1 ||
      indices[0] > kStridedSliceMost) {
    return Rows::kMixed;
  }
  const StridedSliceMasks masks = StridedSliceMasks::of(c.attrs());
  const StatusOr<SlicedLayout> layout = lay_out(x.rank(), indices[0], masks);
  if (!layout.ok() || layout->result.empty() || layout->result[0].axis != 0) return Rows::kMixed;
  const int64_t i = layout->axes[0].index;
  const bool whole = i < 0 || ((has_bit(masks.begin, i) || integer_at(*begin, i) == 0) &&
                               has_bit(masks.end, i) && integer_at(*strides, i) == 1);
  return whole ? Rows::kIndependent : Rows::kMixed;
}

StatusOr<Kernel> make_strided_slice(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(
      const StridedSlice slice,
      resolve_strided_slice(shape, p.constant(1), p.constant(2), p.constant(3),
                            p.input_shape(1).num_elements(), StridedSliceMasks::of(p.attrs())));
  int64_t offset = 0;
  const kernels::StridedCopy copy = kernels::simplify(slice.copy(shape, offset));
  const size_t size = size_of(p.input_dtype(0));
  return [=](KernelRun& r) {
    kernels::run(copy, size, r.in<char>(0) + offset * static_cast<int64_t>(size),
                 r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

AttrMap mask_attrs(const AttrMap& attrs) {
  AttrMap masks;
  for (std::string_view name :
       {"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"}) {
    masks.set(name, attrs.get<int64_t>(name));
  }
  return masks;
}

Status strided_slice_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.op("Shape", {g.input(0)}, {{"out_type", b.dtype(g.input(1))}});
  g.set_dx(0, b.op("StridedSliceGrad", {shape, g.input(1), g.input(2), g.input(3), g.dy()},
                   mask_attrs(g.forward().attrs)));
  return absl::OkStatus();
}

Status strided_slice_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape, c.shape_from_input(0));
  TENON_ASSIGN_OR_RETURN(const int64_t count, index_count(c, 1));
  if (count >= 0 && shape.has_rank()) {
    TENON_ASSIGN_OR_RETURN(const StridedSlice slice,
                           resolve_strided_slice(shape, c.constant(1), c.constant(2), c.constant(3),
                                                 count, StridedSliceMasks::of(c.attrs())));
    if (!PartialShape::merge(slice.shape, c.input(4)).ok()) {
      return invalid_argument("shape of dy was ", c.input(4), " instead of ", slice.shape);
    }
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_strided_slice_grad(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (is_object(dtype)) return unimplemented("StridedSliceGrad has no kernel for dtype ", dtype);
  const Shape shape = p.output_shape(0).to_shape();
  TENON_ASSIGN_OR_RETURN(
      const StridedSlice slice,
      resolve_strided_slice(shape, p.constant(1), p.constant(2), p.constant(3),
                            p.input_shape(1).num_elements(), StridedSliceMasks::of(p.attrs())));
  int64_t offset = 0;
  kernels::StridedCopy copy = slice.copy(shape, offset);
  std::swap(copy.source_strides, copy.target_strides);
  copy = kernels::simplify(copy);
  const size_t size = size_of(dtype);
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * size;
  return [=](KernelRun& r) {
    if (bytes == 0) return absl::OkStatus();
    char* y = r.out<char>(0);
    std::memset(y, 0, bytes);
    kernels::run(copy, size, r.input(4).raw(), y + offset * static_cast<int64_t>(size));
    return absl::OkStatus();
  };
}

Status strided_slice_grad_gradient(Gradient& g) {
  g.set_dx(4, g.build().op("StridedSlice", {g.dy(), g.input(1), g.input(2), g.input(3)},
                           mask_attrs(g.forward().attrs)));
  return absl::OkStatus();
}

// Inputs: the tensor, begin, end, strides, the value, which is broadcast to the slice.
Status slice_update_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const int64_t count, index_count(c, 1));
  if (count >= 0 && c.input(0).has_rank()) {
    TENON_ASSIGN_OR_RETURN(
        const StridedSlice slice,
        resolve_strided_slice(c.input(0), c.constant(1), c.constant(2), c.constant(3), count,
                              StridedSliceMasks::of(c.attrs())));
    const StatusOr<PartialShape> spread = broadcast_shapes(slice.shape, c.input(4));
    if (!spread.ok() || !PartialShape::merge(*spread, slice.shape).ok()) {
      return invalid_argument("Cannot broadcast a value of shape ", c.input(4),
                              " into a slice of shape ", slice.shape);
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// Strides of a value over the slice that it is broadcast to: 0 where it stands still. Axes that the
// slice has shrunk away have size 1, so any stride does; new ones belong to no axis of the tensor.
StatusOr<Kernel> make_slice_update(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (dtype == DType::kResource || dtype == DType::kVariant) {
    return unimplemented(p.op().name(), " has no kernel for dtype ", dtype);
  }
  const Shape shape = p.input_shape(0), value = p.input_shape(4);
  const StridedSliceMasks masks = StridedSliceMasks::of(p.attrs());
  const int64_t count = p.input_shape(1).num_elements();
  TENON_ASSIGN_OR_RETURN(
      const StridedSlice slice,
      resolve_strided_slice(shape, p.constant(1), p.constant(2), p.constant(3), count, masks));
  TENON_ASSIGN_OR_RETURN(const SlicedLayout layout, lay_out(shape.rank(), count, masks));
  int64_t offset = 0;
  kernels::StridedCopy copy = slice.copy(shape, offset);
  copy.target_strides = copy.source_strides;
  std::fill(copy.source_strides.begin(), copy.source_strides.end(), 0);
  const Dims strides = kernels::contiguous_strides(value.dims());
  const int missing = static_cast<int>(layout.result.size()) - value.rank();
  for (int i = 0; i < value.rank(); ++i) {
    const int axis = layout.result[static_cast<size_t>(i + missing)].axis;
    if (axis < 0 || value[i] == 1) continue;
    copy.source_strides[static_cast<size_t>(axis)] = strides[static_cast<size_t>(i)];
  }
  copy = kernels::simplify(copy);
  const bool nothing = slice.shape.num_elements() == 0;
  const size_t size = size_of(dtype);
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * size;
  p.may_overwrite(0, 0);
  return [=](KernelRun& r) {
    if (nothing && bytes == 0) return absl::OkStatus();
    char* y = r.out<char>(0);
    if (y != r.in<char>(0)) std::memcpy(y, r.in<char>(0), bytes);
    if (nothing) return absl::OkStatus();
    kernels::run(copy, size, r.input(4).raw(), y + offset * static_cast<int64_t>(size));
    if (dtype == DType::kString) {
      own_elements(r, 0, 0);
      own_elements(r, 0, 4);
    }
    return absl::OkStatus();
  };
}

// array_grad.py, _TensorStridedSliceUpdateGrad.
Status slice_update_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint dy = g.dy();
  const AttrMap masks = mask_attrs(g.forward().attrs);
  const Endpoint part = b.op("StridedSlice", {dy, g.input(1), g.input(2), g.input(3)}, masks);
  g.set_dx(0, b.op("TensorStridedSliceUpdate",
                   {dy, g.input(1), g.input(2), g.input(3), b.zeros_like(part)}, masks));
  g.set_dx_broadcast(4, part);
  return absl::OkStatus();
}

#define TENON_SLICE_MASKS                                              \
  "; begin_mask: int = 0; end_mask: int = 0; ellipsis_mask: int = 0; " \
  "new_axis_mask: int = 0; shrink_axis_mask: int = 0"

}  // namespace

TENON_OP(StridedSlice) = {
    .inputs = "input: T, begin: Index, end: Index, strides: Index",
    .outputs = "output: T",
    .attrs = "T: type; Index: {int16, int32, int64}" TENON_SLICE_MASKS,
    .host_inputs = {1, 2, 3},
    .shape = strided_slice_shape,
    .rows = strided_slice_rows,
    .gradient = strided_slice_gradient,
    .kernels = {make_strided_slice},
};

TENON_OP(StridedSliceGrad) = {
    .inputs = "shape: Index, begin: Index, end: Index, strides: Index, dy: T",
    .outputs = "output: T",
    .attrs = "T: type; Index: {int32, int64}" TENON_SLICE_MASKS,
    .host_inputs = {0, 1, 2, 3},
    .shape = strided_slice_grad_shape,
    .gradient = strided_slice_grad_gradient,
    .kernels = {make_strided_slice_grad},
};

TENON_OP(TensorStridedSliceUpdate) = {
    .inputs = "input: T, begin: Index, end: Index, strides: Index, value: T",
    .outputs = "output: T",
    .attrs = "T: type; Index: {int32, int64}" TENON_SLICE_MASKS,
    .host_inputs = {1, 2, 3},
    .shape = slice_update_shape,
    .gradient = slice_update_gradient,
    .kernels = {make_slice_update},
};

}  // namespace tenon
