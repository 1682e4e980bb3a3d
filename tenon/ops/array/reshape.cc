// Reshape, ExpandDims, Squeeze: the same elements under another shape.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// The product of the dimensions that are neither 0 nor -1.
StatusOr<int64_t> product_without_zeros(const PartialShape& shape) {
  int64_t product = 1;
  for (const int64_t dim : shape.dims()) {
    if (dim <= 0) continue;
    TENON_ASSIGN_OR_RETURN(product, multiply_dims(product, dim));
  }
  return product;
}

// Puts the size that is left into the dimension -1 of `wanted` and compares element counts.
Status resolve_reshape(const PartialShape& input, PartialShape& wanted) {
  int64_t known = 1;
  int unknown_axis = -1;
  for (int axis = 0; axis < wanted.rank(); ++axis) {
    if (wanted[axis] >= 0) {
      if (__builtin_mul_overflow(known, wanted[axis], &known)) {
        return invalid_argument("the shape ", wanted, " has too many elements");
      }
    } else if (unknown_axis >= 0) {
      return invalid_argument("only one dimension of the new shape may be -1, it is ", wanted);
    } else {
      unknown_axis = axis;
    }
  }
  const int64_t elements = input.num_elements();
  if (elements < 0) return absl::OkStatus();
  if (unknown_axis >= 0) {
    if (known == 0 && elements == 0) {
      // Beside a 0 it is what the dimensions leave that are none
      // (tensorflow/core/kernels/reshape_op.h).
      TENON_ASSIGN_OR_RETURN(const int64_t given, product_without_zeros(input));
      TENON_ASSIGN_OR_RETURN(const int64_t beside, product_without_zeros(wanted));
      wanted.set(unknown_axis, given / beside);
      return absl::OkStatus();
    }
    if (known == 0) {
      return invalid_argument("a dimension -1 cannot be inferred beside one of 0 in ", wanted);
    }
    if (elements % known != 0) {
      return invalid_argument("a tensor of shape ", input, " has ", elements,
                              " elements, the shape ", wanted, " needs a multiple of ", known);
    }
    wanted.set(unknown_axis, elements / known);
  } else if (known != elements) {
    return invalid_argument("a tensor of shape ", input, " has ", elements, " elements, the shape ",
                            wanted, " needs ", known);
  }
  return absl::OkStatus();
}

Status reshape_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape wanted, c.shape_from_input(1));
  // A shape without elements is a scalar's, whether or not its value is known.
  const bool scalar = wanted.has_rank() && wanted.rank() == 0;
  if (c.constant(1) || scalar) TENON_RETURN_IF_ERROR(resolve_reshape(c.input(0), wanted));
  c.set_output(0, std::move(wanted));
  return absl::OkStatus();
}

// A constant [-1, ...] that gives rows of as many elements as the input's.
Rows reshape_rows(const ShapeContext& c) {
  const auto row_elements = [](const PartialShape& shape) {
    int64_t count = 1;
    for (int axis = 1; axis < shape.rank(); ++axis) {
      if (shape[axis] < 0) return int64_t{-1};
      count *= shape[axis];
    }
    return count;
  };
  const StatusOr<PartialShape> wanted = c.shape_from_input(1);
  if (!c.constant(1) || !wanted.ok() || !has_unknown_rows(*wanted)) return Rows::kMixed;
  if (!has_unknown_rows(c.input(0))) return Rows::kMixed;
  const int64_t elements = row_elements(c.input(0));
  return elements > 0 && elements == row_elements(*wanted) ? Rows::kIndependent : Rows::kMixed;
}

Status expand_dims_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const Tensor* dim = c.constant(1);
  if (dim && dim->num_elements() != 1) {
    return invalid_argument("'dim' must have one element, its shape is ", dim->shape());
  }
  if (!x.has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  if (!dim) {
    c.set_output(0, PartialShape::unknown_of_rank(x.rank() + 1));
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*dim, 0), x.rank() + 1));
  PartialShape y = PartialShape::unknown_of_rank(x.rank() + 1);
  for (int i = 0; i <= x.rank(); ++i) y.set(i, i == axis ? 1 : x[i < axis ? i : i - 1]);
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

Rows expand_dims_rows(const ShapeContext& c) {
  const Tensor* axis = c.constant(1);
  if (!axis || axis->num_elements() != 1 || !c.input(0).has_rank()) return Rows::kMixed;
  return rows_beside_axis(integer_at(*axis, 0), c.input(0).rank() + 1);
}

// Without axes a batch of one row would lose its dimension.
Rows squeeze_rows(const ShapeContext& c) {
  const auto& axes = c.attr<std::vector<int64_t>>("squeeze_dims");
  if (axes.empty() || !c.input(0).has_rank()) return Rows::kMixed;
  for (int64_t axis : axes) {
    if (rows_beside_axis(axis, c.input(0).rank()) == Rows::kMixed) return Rows::kMixed;
  }
  return Rows::kIndependent;
}

Status squeeze_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const auto& axes = c.attr<std::vector<int64_t>>("squeeze_dims");
  if (!x.has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  std::vector<bool> named(static_cast<size_t>(x.rank()));
  for (int64_t axis : axes) {
    TENON_ASSIGN_OR_RETURN(const int resolved, resolve_axis(axis, x.rank()));
    if (x[resolved] > 1) {
      return invalid_argument("Can not squeeze dim[", resolved,
                              "], expected a dimension of 1, got ", x[resolved]);
    }
    named[static_cast<size_t>(resolved)] = true;
  }
  std::vector<int64_t> left;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (axes.empty() && x[axis] < 0) {
      c.set_output(0, PartialShape());
      return absl::OkStatus();
    }
    const bool removed = axes.empty() ? x[axis] == 1 : named[static_cast<size_t>(axis)];
    if (!removed) left.push_back(x[axis]);
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(left)));
  return absl::OkStatus();
}

Status reshape_gradient(Gradient& g) {
  g.set_dx(0, g.build().reshape(g.dy(), g.build().shape_of(g.input(0))));
  return absl::OkStatus();
}

constexpr OpDecl reshaping(ArgsText inputs, ArgsText outputs, AttrsText attrs, HostInputs host,
                           ShapeFn shape, RowsRule rows) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .host_inputs = host,
      .view_of = 0,
      .shape = shape,
      .rows = rows,
      .gradient = reshape_gradient,
      .kernels = {make_view},
  };
}

}  // namespace

TENON_OP(Reshape) = reshaping("tensor: T, shape: Tshape", "output: T",
                              "T: type; Tshape: {int32, int64} = int32", {1}, reshape_shape,
                              reshape_rows);
TENON_OP(ExpandDims) = reshaping("input: T, dim: Tdim", "output: T",
                                 "T: type; Tdim: {int32, int64} = int32", {1}, expand_dims_shape,
                                 expand_dims_rows);
TENON_OP(Squeeze) = reshaping("input: T", "output: T", "T: type; squeeze_dims: list(int) >= 0 = []",
                              {}, squeeze_shape, squeeze_rows);

}  // namespace tenon
