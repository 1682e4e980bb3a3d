// Split and SplitV.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

StatusOr<int> split_axis(const Tensor& value, int rank) {
  if (value.num_elements() != 1) {
    return invalid_argument("split_dim must be a scalar, its shape is ", value.shape());
  }
  return resolve_axis(integer_at(value, 0), rank);
}

// All outputs have the shape of x but for the axis.
void set_parts(ShapeContext& c, const PartialShape& x, int axis, std::span<const int64_t> sizes) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    PartialShape y = x;
    y.set(axis, sizes[static_cast<size_t>(i)]);
    c.set_output(i, std::move(y));
  }
}
Status set_unknown_parts(ShapeContext& c, const PartialShape& x) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.set_output(i, x.has_rank() ? PartialShape::unknown_of_rank(x.rank()) : PartialShape());
  }
  return absl::OkStatus();
}

Status split_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  const PartialShape& x = c.input(1);
  if (!x.has_rank() || !c.constant(0)) return set_unknown_parts(c, x);
  TENON_ASSIGN_OR_RETURN(const int axis, split_axis(*c.constant(0), x.rank()));
  const int64_t count = c.num_outputs();
  if (x[axis] >= 0 && x[axis] % count != 0) {
    return invalid_argument(
        "Number of ways to split should evenly divide the split dimension, but "
        "got split_dim ",
        axis, " (size = ", x[axis], ") and num_split ", count);
  }
  set_parts(c, x, axis,
            std::vector<int64_t>(static_cast<size_t>(count), x[axis] < 0 ? -1 : x[axis] / count));
  return absl::OkStatus();
}

// The sizes with one -1 replaced by what is left of `total` (-1: not known).
StatusOr<std::vector<int64_t>> split_sizes(const Tensor& value, int64_t count, int64_t total) {
  std::vector<int64_t> sizes = integers_of(value);
  if (value.rank() != 1 || static_cast<int64_t>(sizes.size()) != count) {
    return invalid_argument("size_splits must be a vector of num_split = ", count,
                            " elements, its shape is ", value.shape());
  }
  int64_t sum = 0;
  int64_t* open = nullptr;
  for (int64_t& size : sizes) {
    if (size == -1 && !open) {
      open = &size;
    } else if (size < 0 || __builtin_add_overflow(sum, size, &sum)) {
      return invalid_argument("size_splits has the element ", size,
                              ": one may be -1, the others must not be negative");
    }
  }
  if (total < 0) return sizes;
  if (open && sizes.size() == 1) {
    return invalid_argument(
        "If there is only one output, it must have the same size as the input. Input size: ", total,
        " output size: -1");
  }
  if (open ? sum > total : sum != total) {
    return invalid_argument("size_splits add up to ", sum, ", the split dimension has ", total);
  }
  if (open) *open = total - sum;
  return sizes;
}

Status split_v_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (!x.has_rank() || !c.constant(2)) return set_unknown_parts(c, x);
  TENON_ASSIGN_OR_RETURN(const int axis, split_axis(*c.constant(2), x.rank()));
  if (!c.constant(1)) {
    set_parts(c, x, axis, std::vector<int64_t>(static_cast<size_t>(c.num_outputs()), -1));
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes,
                         split_sizes(*c.constant(1), c.num_outputs(), x[axis]));
  set_parts(c, x, axis, sizes);
  return absl::OkStatus();
}

template <int value, int dim>
StatusOr<Kernel> make_split(Prepare& p) {
  const Shape& shape = p.input_shape(value);
  TENON_ASSIGN_OR_RETURN(const int axis, split_axis(*p.constant(dim), shape.rank()));
  std::vector<int64_t> sizes;
  for (int i = 0; i < p.num_outputs(); ++i) sizes.push_back(p.output_shape(i)[axis]);
  const int64_t outer = shape.product(0, axis);
  const int64_t inner = shape.product(axis + 1, shape.rank());
  const size_t size = size_of(p.input_dtype(value));
  p.reserve_scratch(sizes.size() * sizeof(void*));
  return [=](KernelRun& r) {
    const std::span<void*> outputs(r.scratch<void*>(), sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) {
      outputs[i] = r.output(static_cast<int>(i)).mutable_raw();
    }
    kernels::split(size, outer, sizes, inner, r.input(value).raw(), outputs);
    for (size_t i = 0; i < sizes.size(); ++i) own_elements(r, static_cast<int>(i), value);
    return absl::OkStatus();
  };
}

template <int value, int dim>
Status split_gradient(Gradient& g) {
  std::vector<Endpoint> parts;
  for (int i = 0; i < g.num_outputs(); ++i) parts.push_back(g.dy(i));
  if (parts.size() == 1) {
    g.set_dx(value, parts[0]);
    return absl::OkStatus();
  }
  parts.push_back(g.input(dim));
  g.set_dx(value, g.build().op("ConcatV2", parts));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Split) = {
    .inputs = "split_dim: int32, value: T",
    .outputs = "output: num_split * T",
    .attrs = "num_split: int >= 1; T: type",
    .host_inputs = {0},
    .shape = split_shape,
    .gradient = split_gradient<1, 0>,
    .kernels = {make_split<1, 0>},
};

TENON_OP(SplitV) = {
    .inputs = "value: T, size_splits: Tlen, split_dim: int32",
    .outputs = "output: num_split * T",
    .attrs = "num_split: int >= 1; T: type; Tlen: {int8, int32, int64} = int64",
    .host_inputs = {1, 2},
    .shape = split_v_shape,
    .gradient = split_gradient<0, 2>,
    .kernels = {make_split<0, 2>},
};

}  // namespace tenon
