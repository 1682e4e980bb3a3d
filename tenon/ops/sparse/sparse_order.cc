// SparseReorder, SparseReshape, SparseSlice, SparseConcat: other coordinates for the same values.
#include <cstring>

#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

Status reorder_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  c.set_output(0, c.input(0));
  c.set_output(1, c.input(1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_reorder(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    const Coordinates rows(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
    TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
    const std::vector<int64_t> order = row_major_order(rows);
    TENON_RETURN_IF_ERROR(r.allocate_output(0, r.input(0).shape()));
    int64_t* to = r.out<int64_t>(0);
    for (int64_t i : order) to = std::ranges::copy(rows.row(i), to).out;
    return gather_values(r, 1, 1, order);
  });
}

// Numbers of the values go the same way and say where dy belongs.
Status reorder_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint count = b.op("Size", {g.input(1)});
  const Endpoint numbers = b.op("Range", {b.scalar<int32_t>(0), count, b.scalar<int32_t>(1)});
  const std::vector<Endpoint> moved = b.ops("SparseReorder", {g.input(0), numbers, g.input(2)});
  if (moved.size() == 2) {
    g.set_dx(1, b.op("UnsortedSegmentSum", {g.dy(1), moved[1], count}));
  }
  return absl::OkStatus();
}

Status sparse_reshape_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_coordinates(c, 0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  const int64_t rows = c.input(0).has_rank() ? c.input(0)[0] : -1;
  const int64_t rank = c.input(2).has_rank() ? c.input(2)[0] : -1;
  c.set_output(0, {rows, rank});
  c.set_output(1, {rank});
  return absl::OkStatus();
}

// `wanted` with its -1 replaced by what is left of `count` elements.
StatusOr<Shape> completed_shape(std::vector<int64_t> wanted, int64_t count, const Shape& from) {
  int64_t product = 1;
  int64_t* open = nullptr;
  for (int64_t& size : wanted) {
    if (size == -1) {
      if (open) return invalid_argument("only one output dimension may be -1");
      open = &size;
    } else if (size < 0 || __builtin_mul_overflow(product, size, &product)) {
      return invalid_argument("size ", size, " must be non-negative, not too large, not ", size);
    }
  }
  if (open) {
    if (product == 0) return invalid_argument("reshape cannot infer the missing dimension of 0");
    *open = count / product;
    product *= *open;
  }
  if (product != count) {
    return invalid_argument("Input to reshape is a tensor of shape ", from, " with ", count,
                            " dense values, but the requested shape has ", product);
  }
  return Shape::make(wanted);
}

StatusOr<Kernel> make_sparse_reshape(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    const Coordinates rows(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape from, dense_shape(r.input(1)));
    TENON_ASSIGN_OR_RETURN(const Shape to,
                           completed_shape(integers_of(r.input(2)), from.num_elements(), from));
    TENON_RETURN_IF_ERROR(check_bounds(rows, from));
    TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{rows.count, to.rank()}));
    int64_t* y = r.out<int64_t>(0);
    for (int64_t i = 0; i < rows.count; ++i) {
      int64_t offset = 0;
      const auto row = rows.row(i);
      for (int axis = 0; axis < rows.rank; ++axis) {
        offset = offset * from[axis] + row[static_cast<size_t>(axis)];
      }
      for (int axis = to.rank() - 1; axis >= 0; --axis) {
        y[i * to.rank() + axis] = offset % to[axis];
        offset /= to[axis];
      }
    }
    r.set_output(1, Tensor::vector<int64_t>(to.dims()));
    return absl::OkStatus();
  });
}

Status sparse_slice_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  for (int i : {3, 4}) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    if (c.input(2).has_rank() && c.input(i).has_rank() && c.input(2)[0] >= 0 &&
        c.input(i)[0] >= 0 && c.input(2)[0] != c.input(i)[0]) {
      return invalid_argument("Expected start and size to be of rank ", c.input(2)[0], ", got ",
                              c.input(i)[0]);
    }
  }
  const int64_t rank = c.input(2).has_rank() ? c.input(2)[0] : -1;
  c.set_output(0, {-1, rank});
  c.set_output(1, {-1});
  c.set_output(2, {rank});
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_slice(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    const Coordinates rows(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
    TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
    const auto start = r.input(3).span<int64_t>(), size = r.input(4).span<int64_t>();
    std::vector<int64_t> dims;
    for (size_t axis = 0; axis < start.size(); ++axis) {
      const int64_t limit = shape[static_cast<int>(axis)];
      if (start[axis] < 0 || size[axis] < 0) {
        return invalid_argument("start and size must not be negative, found ", start[axis], " and ",
                                size[axis]);
      }
      dims.push_back(std::clamp<int64_t>(limit - std::min(start[axis], limit), 0, size[axis]));
    }
    std::vector<int64_t> kept, coordinates;
    for (int64_t i = 0; i < rows.count; ++i) {
      const auto row = rows.row(i);
      bool inside = true;
      for (size_t axis = 0; inside && axis < row.size(); ++axis) {
        inside = row[axis] >= start[axis] && row[axis] - start[axis] < dims[axis];
      }
      if (!inside) continue;
      kept.push_back(i);
      for (size_t axis = 0; axis < row.size(); ++axis) {
        coordinates.push_back(row[axis] - start[axis]);
      }
    }
    r.set_output(
        0, Tensor::from<int64_t>(Shape{static_cast<int64_t>(kept.size()), rows.rank}, coordinates));
    r.set_output(2, Tensor::vector<int64_t>(dims));
    return gather_values(r, 1, 1, kept);
  });
}

Status sparse_slice_gradient(Gradient& g) {
  g.set_dx(1, g.build().op("SparseSliceGrad", {g.dy(1), g.input(0), g.input(3), g.output(0)}));
  return absl::OkStatus();
}

Status sparse_slice_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 2));
  c.set_output(0, {c.input(1).has_rank() ? c.input(1)[0] : -1});
  return absl::OkStatus();
}

// dy where an input's coordinates are those of the next output, 0 elsewhere.
StatusOr<Kernel> make_sparse_slice_grad(Prepare& p) {
  Kernel kernel;
  visit<NumericTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      const Coordinates input(r.input(1)), output(r.input(3));
      const auto start = r.input(2).span<int64_t>();
      if (input.rank != output.rank || start.size() != static_cast<size_t>(input.rank) ||
          r.input(0).dim(0) != output.count) {
        return invalid_argument("the parts of SparseSliceGrad do not go together");
      }
      int64_t next = 0;
      for (int64_t i = 0; i < input.count; ++i) {
        bool same = next < output.count;
        for (size_t axis = 0; same && axis < start.size(); ++axis) {
          same = input.row(i)[axis] == output.row(next)[axis] + start[axis];
        }
        r.out<T>(0)[i] = same ? r.in<T>(0)[next++] : T{};
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("SparseSliceGrad takes numbers");
  return kernel;
}

Status sparse_concat_shape(ShapeContext& c) {
  const int count = c.num_inputs() / 3;
  PartialShape shape;
  for (int i = 0; i < count; ++i) {
    TENON_RETURN_IF_ERROR(check_coordinates(c, i, 2 * count + i));
    TENON_RETURN_IF_ERROR(c.expect_rank(count + i, 1));
    TENON_RETURN_IF_ERROR(check_rows(c.input(i), c.input(count + i)));
    TENON_ASSIGN_OR_RETURN(shape, PartialShape::merge(shape, c.input(2 * count + i)));
  }
  const int64_t rank = shape.has_rank() ? shape[0] : -1;
  if (rank >= 0) {
    TENON_RETURN_IF_ERROR(
        resolve_axis(c.attr<int64_t>("concat_dim"), static_cast<int>(rank)).status());
  }
  c.set_output(0, {-1, rank});
  c.set_output(1, {-1});
  c.set_output(2, {rank});
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_concat(Prepare& p) {
  const int count = p.num_inputs() / 3;
  return Kernel([count, dim = p.attr<int64_t>("concat_dim")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Shape total, dense_shape(r.input(2 * count)));
    TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(dim, total.rank()));
    std::vector<int64_t> coordinates;
    std::vector<std::pair<int, int64_t>> sources;  // input and its row
    int64_t offset = 0;
    for (int i = 0; i < count; ++i) {
      const Coordinates rows(r.input(i));
      TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2 * count + i)));
      for (int j = 0; j < total.rank(); ++j) {
        if (j != axis && shape[j] != total[j]) {
          return invalid_argument("Concat dimension must match along other axes: input 0 has ",
                                  total, ", input ", i, " has ", shape);
        }
      }
      TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
      for (int64_t row = 0; row < rows.count; ++row) {
        sources.emplace_back(i, row);
        coordinates.insert(coordinates.end(), rows.row(row).begin(), rows.row(row).end());
        coordinates[coordinates.size() - static_cast<size_t>(rows.rank - axis)] += offset;
      }
      TENON_ASSIGN_OR_RETURN(offset, add_dims(offset, shape[axis]));
    }
    total.set(axis, offset);
    const auto rows = static_cast<int64_t>(sources.size());
    const Tensor all = Tensor::from<int64_t>(Shape{rows, total.rank()}, coordinates);
    const Coordinates unordered(all);
    const std::vector<int64_t> order = row_major_order(unordered);
    TENON_RETURN_IF_ERROR(r.allocate_output(0, all.shape()));
    TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{rows}));
    int64_t* indices = r.out<int64_t>(0);
    char* values = r.out<char>(1);
    const size_t bytes = size_of(r.output(1).dtype());
    for (int64_t i : order) {
      indices = std::ranges::copy(unordered.row(i), indices).out;
      const auto& [input, row] = sources[static_cast<size_t>(i)];
      std::memcpy(values, r.in<char>(count + input) + static_cast<size_t>(row) * bytes, bytes);
      values += bytes;
    }
    own_elements(r, 1, count, count);
    r.set_output(2, Tensor::vector<int64_t>(total.dims()));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(SparseReorder) = {
    .inputs = "input_indices: int64, input_values: T, input_shape: int64",
    .outputs = "output_indices: int64, output_values: T",
    .attrs = "T: type",
    .supplies_outputs = true,
    .shape = reorder_shape,
    .gradient = reorder_gradient,
    .kernels = {make_reorder},
};

TENON_OP(SparseReshape) = {
    .inputs = "input_indices: int64, input_shape: int64, new_shape: int64",
    .outputs = "output_indices: int64, output_shape: int64",
    .supplies_outputs = true,
    .shape = sparse_reshape_shape,
    .gradient = not_differentiable,
    .kernels = {make_sparse_reshape},
};

TENON_OP(SparseSlice) = {
    .inputs = "indices: int64, values: T, shape: int64, start: int64, size: int64",
    .outputs = "output_indices: int64, output_values: T, output_shape: int64",
    .attrs = "T: type",
    .supplies_outputs = true,
    .shape = sparse_slice_shape,
    .gradient = sparse_slice_gradient,
    .kernels = {make_sparse_slice},
};

TENON_OP(SparseSliceGrad) = {
    .inputs =
        "backprop_val_grad: T, input_indices: int64, input_start: int64, output_indices: int64",
    .outputs = "val_grad: T",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}",
    .shape = sparse_slice_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_sparse_slice_grad},
};

TENON_OP(SparseConcat) = {
    .inputs = "indices: N * int64, values: N * T, shapes: N * int64",
    .outputs = "output_indices: int64, output_values: T, output_shape: int64",
    .attrs = "concat_dim: int; N: int >= 2; T: type",
    .supplies_outputs = true,
    .shape = sparse_concat_shape,
    .gradient = not_differentiable,
    .kernels = {make_sparse_concat},
};

}  // namespace tenon
