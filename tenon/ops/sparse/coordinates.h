// Sparse tensors as ops take them: indices [count, rank], values [count], the dense shape.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

// Rows of int64 coordinates. A view: it holds nothing.
struct Coordinates {
  const int64_t* data = nullptr;
  int64_t count = 0;
  int rank = 0;

  explicit Coordinates(const Tensor& indices)
      : data(indices.data<int64_t>()),
        count(indices.dim(0)),
        rank(static_cast<int>(indices.dim(1))) {}
  std::span<const int64_t> row(int64_t i) const {
    return {data + i * rank, static_cast<size_t>(rank)};
  }
};

// Inputs `first` to `first` + 2 are indices, values and dense shape that go together.
// INVALID_ARGUMENT otherwise.
Status check_sparse(const ShapeContext& c, int first);
// Indices and dense shape alone.
Status check_coordinates(const ShapeContext& c, int indices, int shape);

// INVALID_ARGUMENT unless there may be one value for each row of indices.
Status check_rows(const PartialShape& indices, const PartialShape& values);

// Inputs 0 to 2 are a sparse tensor, input 3 the axes that it is reduced over: a scalar or a
// vector.
Status check_sparse_reduction(const ShapeContext& c);

// The dense shape of a sparse tensor, checked: none negative, no overflow.
StatusOr<Shape> dense_shape(const Tensor& shape);

// INVALID_ARGUMENT names the first row that lies outside `shape`.
Status check_bounds(const Coordinates& coordinates, const Shape& shape);

// Which of `rank` axes a reduction's `axes` name, in any order, negative ones from the end.
// INVALID_ARGUMENT for one that is not there.
StatusOr<std::vector<bool>> sparse_reduced_axes(const Tensor& axes, int rank);

// `dims` without the axes that are reduced, or with 1 in their places.
std::vector<int64_t> sparse_reduced_dims(std::span<const int64_t> dims,
                                         const std::vector<bool>& reduced, bool keep);

// The numbers of the rows in the order of their coordinates, equal ones as they come.
std::vector<int64_t> row_major_order(const Coordinates& coordinates);

// Copies elements of input `input`, which may be of any dtype, in the order of `from` into output
// `output`, allocated as a vector.
Status gather_values(KernelRun& r, int input, int output, std::span<const int64_t> from);

}  // namespace tenon
