// RaggedFillEmptyRows: a default value for each row of a ragged tensor that has none. Its gradient
// op is SparseFillEmptyRows' (sparse_math.cc).
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status ragged_fill_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  if (!PartialShape::merge(c.input(0), c.input(1)).ok()) {
    return invalid_argument("the lengths of `values` (", c.input(1), ") and `value_rowids` (",
                            c.input(0), ") must be equal");
  }
  const int64_t rows = c.constant(2) ? integer_at(*c.constant(2), 0) : -1;
  c.set_output(0, {-1});
  c.set_output(1, {-1});
  c.set_output(2, {std::max<int64_t>(rows, -1)});
  c.set_output(3, c.input(0));
  return absl::OkStatus();
}

// Rows are put in order, values of one row as they come.
Status ragged_fill(KernelRun& r) {
  const auto rowids = r.input(0).span<int64_t>();
  const int64_t rows = *r.in<int64_t>(2);
  const auto count = static_cast<int64_t>(rowids.size());
  if (rows < 0) return invalid_argument("nrows must not be negative, it is ", rows);
  if (rows == 0 && count > 0) {
    return invalid_argument("Received RaggedTensor with nrows = 0 but ", count, " values");
  }
  TENON_RETURN_IF_ERROR(Shape::make({{rows}}, sizeof(int64_t)).status());
  TENON_RETURN_IF_ERROR(r.allocate_output(2, Shape{rows}));
  // Of each row the number of values, then where its next one goes.
  std::vector<int64_t> next(static_cast<size_t>(rows));
  for (size_t i = 0; i < rowids.size(); ++i) {
    if (rowids[i] < 0 || rowids[i] >= rows) {
      return invalid_argument("value_rowids[", i, "] = ", rowids[i], " is not in [0, ", rows, ")");
    }
    ++next[static_cast<size_t>(rowids[i])];
  }
  int64_t total = 0;
  for (size_t row = 0; row < next.size(); ++row) {
    r.out<bool>(2)[row] = next[row] == 0;
    const int64_t size = std::max<int64_t>(next[row], 1);
    next[row] = total;
    total += size;
  }
  const size_t bytes = size_of(r.input(1).dtype());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{total}));
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{total}));
  TENON_RETURN_IF_ERROR(r.allocate_output(3, Shape{count}));
  char* values = r.out<char>(1);
  for (size_t row = 0; row < next.size(); ++row) {
    if (!r.out<bool>(2)[row]) continue;
    r.out<int64_t>(0)[next[row]] = static_cast<int64_t>(row);
    std::memcpy(values + static_cast<size_t>(next[row]) * bytes, r.input(3).raw(), bytes);
  }
  for (size_t i = 0; i < rowids.size(); ++i) {
    const int64_t at = next[static_cast<size_t>(rowids[i])]++;
    r.out<int64_t>(0)[at] = rowids[i];
    r.out<int64_t>(3)[i] = at;
    std::memcpy(values + static_cast<size_t>(at) * bytes, r.in<char>(1) + i * bytes, bytes);
  }
  own_elements(r, 1, 1);
  own_elements(r, 1, 3);
  return absl::OkStatus();
}

StatusOr<Kernel> make_ragged_fill(Prepare&) { return Kernel(ragged_fill); }

// ragged_array_ops.py, _ragged_fill_empty_rows_grad.
Status fill_rows_gradient(Gradient& g) {
  const std::vector<Endpoint> dx = g.build().ops("RaggedFillEmptyRowsGrad", {g.output(3), g.dy(1)});
  if (dx.size() != 2) return absl::OkStatus();
  g.set_dx(1, dx[0]);
  g.set_dx(3, dx[1]);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(RaggedFillEmptyRows) = {
    .inputs = "value_rowids: int64, values: T, nrows: int64, default_value: T",
    .outputs =
        "output_value_rowids: int64, output_values: T, empty_row_indicator: bool, "
        "reverse_index_map: int64",
    .attrs = "T: type",
    .supplies_outputs = true,
    .shape = ragged_fill_shape,
    .gradient = fill_rows_gradient,
    .kernels = {make_ragged_fill},
};

}  // namespace tenon
