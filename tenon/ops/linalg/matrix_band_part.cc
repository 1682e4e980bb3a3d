// MatrixBandPart: everything outside a central band set to zero.
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/grain.h"

namespace tenon {
namespace {

Status band_part_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  const PartialShape& x = c.input(0);
  for (int i = 1; i < 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
    if (!c.constant(i) || !x.has_rank()) continue;
    const int64_t size = x[x.rank() - 3 + i];
    const int64_t count = integer_at(*c.constant(i), 0);
    if (size >= 0 && count > size) {
      return invalid_argument(i == 1 ? "num_lower" : "num_upper",
                              " must be negative or less or equal to number of ",
                              i == 1 ? "rows" : "columns", " (", size, ") got: ", count);
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

// A negative count keeps the whole triangle.
StatusOr<Kernel> make_band_part(Prepare& p) {
  if (is_object(p.input_dtype(0))) {
    return unimplemented("MatrixBandPart has no CPU kernel for dtype ", p.input_dtype(0));
  }
  const Shape& x = p.input_shape(0);
  const int64_t rows = x[x.rank() - 2], columns = x[x.rank() - 1];
  const int64_t batch = x.product(0, x.rank() - 2);
  const int64_t lower = integer_at(*p.constant(1), 0), upper = integer_at(*p.constant(2), 0);
  const size_t bytes = size_of(p.input_dtype(0));
  p.may_overwrite(0, 0);
  return Kernel([=](KernelRun& r) {
    if (columns == 0) return absl::OkStatus();
    parallel_for(batch * rows, kernels::grain_of(columns), [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t row = i % rows;
        const int64_t begin = lower < 0 ? 0 : std::min(columns, std::max<int64_t>(0, row - lower));
        const int64_t end =
            upper < 0 ? columns : std::max(begin, std::min(columns, row + upper + 1));
        const size_t start = static_cast<size_t>(i * columns) * bytes;
        const char* from = r.in<char>(0) + start;
        char* to = r.out<char>(0) + start;
        const size_t left = static_cast<size_t>(begin) * bytes;
        const size_t right = static_cast<size_t>(end) * bytes;
        std::memset(to, 0, left);
        if (to != from) std::memcpy(to + left, from + left, right - left);
        std::memset(to + right, 0, static_cast<size_t>(columns) * bytes - right);
      }
    });
    return absl::OkStatus();
  });
}

Status band_part_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("MatrixBandPart", {g.dy(), g.input(1), g.input(2)}));
  return absl::OkStatus();
}

Rows band_part_rows(const ShapeContext& c) {
  return c.input(0).has_rank() && c.input(0).rank() > 2 ? Rows::kIndependent : Rows::kMixed;
}

}  // namespace

TENON_OP(MatrixBandPart) = {
    .inputs = "input: T, num_lower: Tindex, num_upper: Tindex",
    .outputs = "band: T",
    .attrs = "T: type; Tindex: {int32, int64} = int64",
    .host_inputs = {1, 2},
    .shape = band_part_shape,
    .rows = band_part_rows,
    .gradient = band_part_gradient,
    .kernels = {make_band_part},
};

// Its name before ops took batches by themselves.
TENON_OP(BatchMatrixBandPart) = {
    .inputs = "input: T, num_lower: int64, num_upper: int64",
    .outputs = "band: T",
    .attrs = "T: type",
    .host_inputs = {1, 2},
    .shape = band_part_shape,
    .rows = band_part_rows,
    .gradient = not_differentiable,
    .kernels = {make_band_part},
};

}  // namespace tenon
