#include "tenon/ops/sparse/coordinates.h"

#include <cstring>
#include <numeric>

#include "tenon/ops/array/elements.h"

namespace tenon {

Status check_coordinates(const ShapeContext& c, int indices, int shape) {
  TENON_RETURN_IF_ERROR(c.expect_rank(indices, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(shape, 1));
  const PartialShape& i = c.input(indices);
  const PartialShape& s = c.input(shape);
  if (i.has_rank() && s.has_rank() && i[1] >= 0 && s[0] >= 0 && i[1] != s[0]) {
    return invalid_argument(
        "Number of dimensions must match second dimension of indices: the "
        "shape has ",
        s[0], ", indices have shape ", i);
  }
  return absl::OkStatus();
}

Status check_sparse(const ShapeContext& c, int first) {
  TENON_RETURN_IF_ERROR(check_coordinates(c, first, first + 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(first + 1, 1));
  return check_rows(c.input(first), c.input(first + 1));
}

Status check_rows(const PartialShape& indices, const PartialShape& values) {
  if (indices.has_rank() && values.has_rank() && indices[0] >= 0 && values[0] >= 0 &&
      indices[0] != values[0]) {
    return invalid_argument("Number of values must match first dimension of indices. Got ",
                            values[0], " values, indices shape: ", indices);
  }
  return absl::OkStatus();
}

Status check_sparse_reduction(const ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  if (c.input(3).has_rank() && c.input(3).rank() > 1) {
    return invalid_argument("Expected reduction_axes to be a scalar or a vector; got shape ",
                            c.input(3));
  }
  return absl::OkStatus();
}

StatusOr<Shape> dense_shape(const Tensor& shape) { return Shape::make(integers_of(shape)); }

Status check_bounds(const Coordinates& coordinates, const Shape& shape) {
  for (int64_t i = 0; i < coordinates.count; ++i) {
    const auto row = coordinates.row(i);
    for (size_t axis = 0; axis < row.size(); ++axis) {
      if (row[axis] < 0 || row[axis] >= shape[static_cast<int>(axis)]) {
        return invalid_argument("indices[", i, "] = [", join(row, ","),
                                "] is out of bounds: need 0 <= index < ", shape);
      }
    }
  }
  return absl::OkStatus();
}

StatusOr<std::vector<bool>> sparse_reduced_axes(const Tensor& axes, int rank) {
  std::vector<bool> reduced(static_cast<size_t>(rank));
  for (int64_t axis : integers_of(axes)) {
    if (axis < -rank || axis >= rank) {
      return invalid_argument("Invalid reduction dimension ", axis, ", for input with ", rank,
                              " dimensions.");
    }
    reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  return reduced;
}

std::vector<int64_t> sparse_reduced_dims(std::span<const int64_t> dims,
                                         const std::vector<bool>& reduced, bool keep) {
  std::vector<int64_t> left;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (!reduced[axis]) {
      left.push_back(dims[axis]);
    } else if (keep) {
      left.push_back(1);
    }
  }
  return left;
}

std::vector<int64_t> row_major_order(const Coordinates& coordinates) {
  std::vector<int64_t> order(static_cast<size_t>(coordinates.count));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::ranges::lexicographical_compare(coordinates.row(a), coordinates.row(b));
  });
  return order;
}

Status gather_values(KernelRun& r, int input, int output, std::span<const int64_t> from) {
  TENON_RETURN_IF_ERROR(r.allocate_output(output, Shape{static_cast<int64_t>(from.size())}));
  const size_t bytes = size_of(r.input(input).dtype());
  char* to = r.out<char>(output);
  for (int64_t i : from) {
    std::memcpy(to, r.in<char>(input) + static_cast<size_t>(i) * bytes, bytes);
    to += bytes;
  }
  own_elements(r, output, input);
  return absl::OkStatus();
}

}  // namespace tenon
