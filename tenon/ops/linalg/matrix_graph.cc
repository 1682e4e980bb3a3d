#include "tenon/ops/linalg/matrix_graph.h"

namespace tenon {

Endpoint MatrixGraph::mul(Endpoint x, Endpoint y, bool adjoint_x, bool adjoint_y) {
  return b.op("BatchMatMulV2", {x, y}, {{"adj_x", adjoint_x}, {"adj_y", adjoint_y}});
}

Endpoint MatrixGraph::transpose(Endpoint x) {
  return b.op("Einsum", {x}, {{"equation", std::string("...ij->...ji")}, {"N", int64_t{1}}});
}

Endpoint MatrixGraph::conj(Endpoint x) { return is_complex(b.dtype(x)) ? b.op("Conj", {x}) : x; }

Endpoint MatrixGraph::adjoint(Endpoint x) { return conj(transpose(x)); }

Endpoint MatrixGraph::real_part(Endpoint x) {
  const DType dtype = b.dtype(x);
  if (!is_complex(dtype)) return x;
  const DType part = dtype == DType::kComplex64 ? DType::kFloat : DType::kDouble;
  return b.cast(b.op("Real", {x}, {{"Tout", part}}), dtype);
}

Endpoint MatrixGraph::band(Endpoint x, int64_t below, int64_t above) {
  return b.op("MatrixBandPart", {x, b.scalar(below), b.scalar(above)});
}

// The ellipsis stands for the batch.
Endpoint MatrixGraph::slice(Endpoint x, std::array<int64_t, 2> begin, std::array<int64_t, 2> end) {
  int64_t end_mask = 0;
  for (int i = 0; i < 2; ++i) {
    if (end[static_cast<size_t>(i)] == 0) end_mask |= int64_t{2} << i;
  }
  return b.op("StridedSlice",
              {x, b.integers({0, begin[0], begin[1]}), b.integers({0, end[0], end[1]}),
               b.integers({1, 1, 1})},
              {{"ellipsis_mask", int64_t{1}}, {"end_mask", end_mask}});
}

Endpoint MatrixGraph::rows(Endpoint x, int64_t begin, int64_t end) {
  return slice(x, {begin, 0}, {end, 0});
}

Endpoint MatrixGraph::columns(Endpoint x, int64_t begin, int64_t end) {
  return slice(x, {0, begin}, {0, end});
}

Endpoint MatrixGraph::scaled(Endpoint x, double factor) {
  return b.mul(x, b.cast(b.scalar(factor), b.dtype(x)));
}

Endpoint MatrixGraph::sum_last(Endpoint x) { return b.sum(x, std::array<int64_t, 1>{-1}); }

Endpoint MatrixGraph::safe_reciprocal(Endpoint x) {
  const Endpoint least = b.cast(b.scalar(1e-20), b.dtype(x));
  return b.mul(x, b.op("Reciprocal", {b.add(b.mul(x, x), least)}));
}

Endpoint MatrixGraph::gaps(Endpoint x) {
  return set_diag(safe_reciprocal(b.sub(expand(x, -2), expand(x, -1))), b.zeros_like(x));
}

Endpoint MatrixGraph::triangular_solve(Endpoint l, Endpoint x, bool lower, bool adjoint) {
  return b.op("MatrixTriangularSolve", {l, x}, {{"lower", lower}, {"adjoint", adjoint}});
}

}  // namespace tenon
