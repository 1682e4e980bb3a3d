// Diag, DiagPart: a tensor on the diagonal of one of twice its rank.
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

Status tensor_diagonal_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) return unknown_shape(c);
  if (x.rank() < 1 || 2 * x.rank() > kMaxRank) {
    return invalid_argument("Input must be at least rank 1 and of at most half the highest rank, ",
                            "got ", x);
  }
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims.insert(dims.end(), x.dims().begin(), x.dims().end());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

Status tensor_diagonal_part_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) return unknown_shape(c);
  if (x.rank() == 0 || x.rank() % 2 != 0) {
    return invalid_argument("Input must have even and non-zero rank, got ", x);
  }
  const int rank = x.rank() / 2;
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    const int64_t a = x[i], b = x[rank + i];
    if (a >= 0 && b >= 0 && a != b) {
      return invalid_argument("Invalid shape ", x, ": dimensions ", i, " and ", rank + i,
                              " do not match.");
    }
    dims.push_back(std::max(a, b));
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_tensor_diagonal(Prepare& p) {
  const auto count = static_cast<size_t>(p.input_shape(0).num_elements());
  return Kernel([count, bytes = size_of(p.input_dtype(0))](KernelRun& r) {
    const char* x = r.in<char>(0);
    char* y = r.out<char>(0);
    std::memset(y, 0, count * count * bytes);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(y + i * (count + 1) * bytes, x + i * bytes, bytes);
    }
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_tensor_diagonal_part(Prepare& p) {
  const auto count = static_cast<size_t>(p.output_shape(0).num_elements());
  return Kernel([count, bytes = size_of(p.input_dtype(0))](KernelRun& r) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(r.out<char>(0) + i * bytes, r.in<char>(0) + i * (count + 1) * bytes, bytes);
    }
    return absl::OkStatus();
  });
}

template <bool part>
Status tensor_diagonal_gradient(Gradient& g) {
  g.set_dx(0, g.build().op(part ? "Diag" : "DiagPart", {g.dy()}));
  return absl::OkStatus();
}

constexpr AttrsText kDiagonalTypes =
    "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}";

}  // namespace

TENON_OP(Diag) = {
    .inputs = "diagonal: T",
    .outputs = "output: T",
    .attrs = kDiagonalTypes,
    .shape = tensor_diagonal_shape,
    .gradient = tensor_diagonal_gradient<false>,
    .kernels = {make_tensor_diagonal},
};
TENON_OP(DiagPart) = {
    .inputs = "input: T",
    .outputs = "diagonal: T",
    .attrs = kDiagonalTypes,
    .shape = tensor_diagonal_part_shape,
    .gradient = tensor_diagonal_gradient<true>,
    .kernels = {make_tensor_diagonal_part},
};

}  // namespace tenon
