// Concat, ConcatV2, ConcatOffset.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// Where the axis stands among the inputs, and the first of the values.
struct ConcatInputs {
  int axis;
  int first;
  int count;
};
ConcatInputs concat_inputs(bool v2, int num_inputs) {
  return v2 ? ConcatInputs{num_inputs - 1, 0, num_inputs - 1} : ConcatInputs{0, 1, num_inputs - 1};
}

// Adds one value to what the result looks like so far.
Status append_value(const PartialShape& value, int axis, PartialShape& y) {
  if (value.rank() != y.rank()) {
    return invalid_argument("ConcatOp : Ranks of all input tensors should match: ", y, " vs. ",
                            value);
  }
  for (int i = 0; i < y.rank(); ++i) {
    if (i == axis) {
      TENON_ASSIGN_OR_RETURN(const int64_t size, add_dims(y[i], value[i]));
      y.set(i, size);
    } else if (y[i] < 0) {
      y.set(i, value[i]);
    } else if (value[i] >= 0 && value[i] != y[i]) {
      return invalid_argument("ConcatOp : Dimension ", i, " in both shapes must be equal: ", y,
                              " vs. ", value);
    }
  }
  return absl::OkStatus();
}

template <bool v2>
Status concat_shape(ShapeContext& c) {
  const ConcatInputs inputs = concat_inputs(v2, c.num_inputs());
  const Tensor* axis_value = c.constant(inputs.axis);
  if (axis_value && axis_value->num_elements() != 1) {
    return invalid_argument("the axis must be a scalar, its shape is ", axis_value->shape());
  }
  PartialShape y;
  for (int i = 0; i < inputs.count; ++i) {
    const PartialShape& value = c.input(inputs.first + i);
    if (!value.has_rank()) continue;
    if (!y.has_rank()) y = PartialShape::unknown_of_rank(value.rank());
    if (value.rank() != y.rank()) {
      return invalid_argument("ConcatOp : Ranks of all input tensors should match, found ",
                              y.rank(), " and ", value.rank());
    }
  }
  if (!y.has_rank() || !axis_value) {
    c.set_output(0, std::move(y));
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*axis_value, 0), y.rank()));
  y.set(axis, 0);
  for (int i = 0; i < inputs.count; ++i) {
    const PartialShape& value = c.input(inputs.first + i);
    TENON_RETURN_IF_ERROR(
        append_value(value.has_rank() ? value : PartialShape::unknown_of_rank(y.rank()), axis, y));
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

template <bool v2>
Rows concat_rows(const ShapeContext& c) {
  const ConcatInputs inputs = concat_inputs(v2, c.num_inputs());
  const Tensor* axis = c.constant(inputs.axis);
  const PartialShape& first = c.input(inputs.first);
  if (!axis || axis->num_elements() != 1 || !first.has_rank()) return Rows::kMixed;
  return rows_beside_axis(integer_at(*axis, 0), first.rank());
}

template <bool v2>
StatusOr<Kernel> make_concat(Prepare& p) {
  const ConcatInputs inputs = concat_inputs(v2, p.num_inputs());
  const Shape shape = p.output_shape(0).to_shape();
  TENON_ASSIGN_OR_RETURN(const int axis,
                         resolve_axis(integer_at(*p.constant(inputs.axis), 0), shape.rank()));
  std::vector<int64_t> sizes;
  for (int i = 0; i < inputs.count; ++i) sizes.push_back(p.input_shape(inputs.first + i)[axis]);
  const int64_t outer = shape.product(0, axis);
  const int64_t inner = shape.product(axis + 1, shape.rank());
  const size_t size = size_of(p.output_dtype(0));
  p.reserve_scratch(sizes.size() * sizeof(const void*));
  return [=](KernelRun& r) {
    const std::span<const void*> values(r.scratch<const void*>(), sizes.size());
    for (int i = 0; i < inputs.count; ++i) {
      values[static_cast<size_t>(i)] = r.input(inputs.first + i).raw();
    }
    kernels::concat(size, outer, sizes, inner, values, r.output(0).mutable_raw());
    own_elements(r, 0, inputs.first, inputs.count);
    return absl::OkStatus();
  };
}

// The sizes along the axis when all are known: the gradient is a split.
std::optional<std::vector<int64_t>> known_sizes(Gradient& g, const ConcatInputs& inputs) {
  const Tensor* axis_value = g.graph().constant(g.input(inputs.axis));
  std::vector<int64_t> sizes;
  for (int i = 0; axis_value && i < inputs.count; ++i) {
    const PartialShape shape = g.input_shape(inputs.first + i);
    if (!shape.has_rank()) return std::nullopt;
    const StatusOr<int> axis = resolve_axis(integer_at(*axis_value, 0), shape.rank());
    if (!axis.ok() || shape[*axis] < 0) return std::nullopt;
    sizes.push_back(shape[*axis]);
  }
  if (sizes.empty()) return std::nullopt;
  return sizes;
}

// array_grad.py, _ConcatGradHelper.
template <bool v2>
Status concat_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const ConcatInputs inputs = concat_inputs(v2, g.num_inputs());
  if (const auto sizes = known_sizes(g, inputs)) {
    const Endpoint lengths = b.constant(Tensor::vector<int64_t>(*sizes));
    const std::vector<Endpoint> parts =
        b.ops("SplitV", {g.dy(), lengths, b.cast(g.input(inputs.axis), DType::kInt32)},
              {{"num_split", static_cast<int64_t>(inputs.count)}});
    for (size_t i = 0; i < parts.size(); ++i)
      g.set_dx(inputs.first + static_cast<int>(i), parts[i]);
    return absl::OkStatus();
  }
  std::vector<Endpoint> values;
  for (int i = 0; i < inputs.count; ++i) values.push_back(g.input(inputs.first + i));
  const std::vector<Endpoint> shapes = b.ops("ShapeN", values, {{"out_type", DType::kInt32}});
  const Endpoint axis =
      b.op("FloorMod", {b.cast(g.input(inputs.axis), DType::kInt32), b.op("Rank", {values[0]})});
  std::vector<Endpoint> offset_inputs{axis};
  offset_inputs.insert(offset_inputs.end(), shapes.begin(), shapes.end());
  const std::vector<Endpoint> offsets = b.ops("ConcatOffset", offset_inputs);
  for (size_t i = 0; i < offsets.size(); ++i) {
    g.set_dx(inputs.first + static_cast<int>(i), b.op("Slice", {g.dy(), offsets[i], shapes[i]}));
  }
  return absl::OkStatus();
}

template <bool v2>
constexpr OpDecl concatenation(ArgsText inputs, AttrsText attrs, HostInputs host) {
  return {
      .inputs = inputs,
      .outputs = "output: T",
      .attrs = attrs,
      .host_inputs = host,
      .shape = concat_shape<v2>,
      .rows = concat_rows<v2>,
      .gradient = concat_gradient<v2>,
      .kernels = {make_concat<v2>},
  };
}

Status concat_offset_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i + 1, 1));
    c.set_output(i, c.input(i + 1));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_concat_offset(Prepare& p) {
  const int64_t rank = p.input_shape(1).num_elements();
  TENON_ASSIGN_OR_RETURN(const int axis,
                         resolve_axis(integer_at(*p.constant(0), 0), static_cast<int>(rank)));
  std::vector<int64_t> offsets;
  int64_t offset = 0;
  for (int i = 1; i < p.num_inputs(); ++i) {
    const std::vector<int64_t> first = integers_of(*p.constant(1));
    const std::vector<int64_t> shape = integers_of(*p.constant(i));
    if (shape.size() != first.size()) {
      return invalid_argument("shape ", i - 1, " has ", shape.size(), " elements, shape 0 has ",
                              first.size());
    }
    for (size_t j = 0; j < shape.size(); ++j) {
      if (static_cast<int>(j) != axis && shape[j] != first[j]) {
        return invalid_argument("All dimensions except ", axis, " must match. Input ", i - 1,
                                " has shape [", join(shape, " "),
                                "] and doesn't match input 0 with "
                                "shape [",
                                join(first, " "), "].");
      }
    }
    offsets.push_back(offset);
    offset += shape[static_cast<size_t>(axis)];
  }
  return [=](KernelRun& r) {
    for (size_t i = 0; i < offsets.size(); ++i) {
      Tensor& y = r.output(static_cast<int>(i));
      visit<IndexTypes>(y.dtype(), [&]<class T>() {
        std::fill_n(y.mutable_data<T>(), rank, T{0});
        y.mutable_data<T>()[axis] = static_cast<T>(offsets[i]);
      });
    }
    return absl::OkStatus();
  };
}

}  // namespace

TENON_OP(Concat) = concatenation<false>("concat_dim: int32, values: N * T", "N: int >= 2; T: type",
                                        {0});
TENON_OP(ConcatV2) = concatenation<true>("values: N * T, axis: Tidx",
                                         "N: int >= 2; T: type; Tidx: {int32, int64} = int32",
                                         {-1});

TENON_OP(ConcatOffset) = {
    .inputs = "concat_dim: int32, shape: N * shape_type",
    .outputs = "offset: N * shape_type",
    .attrs = "N: int >= 2; shape_type: {int32, int64} = int32",
    .host_inputs = HostInputs::all(),
    .host_outputs = HostInputs::all(),
    .shape = concat_offset_shape,
    .gradient = not_differentiable,
    .kernels = {make_concat_offset},
};

}  // namespace tenon
