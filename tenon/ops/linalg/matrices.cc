#include "tenon/ops/linalg/matrices.h"

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"

namespace tenon {

Matrices matrices_of(const Shape& shape) {
  const int rank = shape.rank();
  return {shape.product(0, rank - 2), shape[rank - 2], shape[rank - 1]};
}

Status for_each_matrix(int64_t count, double work, FunctionRef<Status(int64_t)> one) {
  constexpr double kMostWork = kernels::kValuesOfThread;
  const int64_t grain = kernels::grain_of(static_cast<int64_t>(std::min(work, kMostWork)));
  std::mutex mutex;
  Status first;
  int64_t failed = count;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Status status = one(i);
      if (status.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (i < failed) {
        failed = i;
        first = std::move(status);
      }
    }
  });
  return first;
}

StatusOr<BatchPairs> BatchPairs::make(const Shape& a, const Shape& b) {
  BatchPairs pairs;
  pairs.a_ = Shape(a.dims().first(a.dims().size() - 2));
  pairs.b_ = Shape(b.dims().first(b.dims().size() - 2));
  TENON_ASSIGN_OR_RETURN(pairs.batch_, broadcast_shapes(pairs.a_, pairs.b_));
  return pairs;
}

int64_t BatchPairs::index(int64_t i, const Shape& side) const {
  int64_t at = 0, stride = 1;
  for (int axis = batch_.rank() - 1, own = side.rank() - 1; own >= 0; --axis, --own) {
    if (side[own] != 1) at += i % batch_[axis] * stride;
    stride *= side[own];
    i /= batch_[axis];
  }
  return at;
}

PartialShape with_last_dims(const PartialShape& shape, int drop,
                            std::initializer_list<int64_t> last) {
  if (!shape.has_rank()) return {};
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end() - drop);
  dims.insert(dims.end(), last.begin(), last.end());
  return PartialShape(std::span<const int64_t>(dims));
}

StatusOr<PartialShape> square_matrices(const ShapeContext& c, int index) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(index, 2));
  PartialShape x = c.input(index);
  if (!x.has_rank()) return x;
  const int64_t rows = x[x.rank() - 2], columns = x[x.rank() - 1];
  if (rows >= 0 && columns >= 0 && rows != columns) {
    return invalid_argument("input matrix must be square, its shape is ", x);
  }
  return with_last_dims(x, 2, {std::max(rows, columns), std::max(rows, columns)});
}

Status square_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape x, square_matrices(c, 0));
  c.set_output(0, std::move(x));
  return absl::OkStatus();
}

StatusOr<PartialShape> common_batch(const ShapeContext& c) {
  const PartialShape a = with_last_dims(c.input(0), 2, {}), b = with_last_dims(c.input(1), 2, {});
  auto merged = PartialShape::merge(a, b);
  if (!merged.ok()) {
    return invalid_argument("inputs must have the same batch dimensions, they have shapes ",
                            c.input(0), " and ", c.input(1));
  }
  return merged;
}

Status solve_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 2));
  TENON_ASSIGN_OR_RETURN(const PartialShape a, square_matrices(c, 0));
  const PartialShape& b = c.input(1);
  TENON_ASSIGN_OR_RETURN(const PartialShape batch, common_batch(c));
  if (!b.has_rank()) return unknown_shape(c);
  int64_t rows = b[b.rank() - 2];
  if (a.has_rank()) {
    const int64_t size = a[a.rank() - 1];
    if (size >= 0 && rows >= 0 && size != rows) {
      return invalid_argument("matrix and right-hand side have ", size, " and ", rows, " rows");
    }
    rows = std::max(rows, size);
  }
  c.set_output(0, with_last_dims(batch, 0, {rows, b[b.rank() - 1]}));
  return absl::OkStatus();
}

Rows matrix_rows(const ShapeContext& c) {
  return c.input(0).has_rank() && c.input(0).rank() > 2 ? Rows::kIndependent : Rows::kMixed;
}

}  // namespace tenon
