// Graph ops on the last two dimensions, as the gradients of linear algebra write them. Ranks need
// not be known.
#pragma once

#include "tenon/graph/gradient.h"

namespace tenon {

class MatrixGraph {
 public:
  explicit MatrixGraph(GraphBuilder& builder) : b(builder) {}

  Endpoint mul(Endpoint x, Endpoint y, bool adjoint_x = false, bool adjoint_y = false);
  Endpoint transpose(Endpoint x);
  Endpoint adjoint(Endpoint x);
  Endpoint conj(Endpoint x);       // itself when it is real
  Endpoint real_part(Endpoint x);  // of its own dtype
  Endpoint diag(Endpoint x) { return b.op("MatrixDiag", {x}); }
  Endpoint diag_part(Endpoint x) { return b.op("MatrixDiagPart", {x}); }
  Endpoint set_diag(Endpoint x, Endpoint d) { return b.op("MatrixSetDiag", {x, d}); }
  Endpoint lower(Endpoint x) { return band(x, -1, 0); }
  Endpoint upper(Endpoint x) { return band(x, 0, -1); }
  Endpoint expand(Endpoint x, int32_t axis) { return b.op("ExpandDims", {x, b.scalar(axis)}); }
  // Rows (columns) [begin, end) of each matrix; end 0: to the last, negative: that many from it.
  Endpoint rows(Endpoint x, int64_t begin, int64_t end);
  Endpoint columns(Endpoint x, int64_t begin, int64_t end);
  Endpoint scaled(Endpoint x, double factor);
  Endpoint sum_last(Endpoint x);
  // x / (x^2 + 1e-20): TensorFlow's guard against equal eigenvalues.
  Endpoint safe_reciprocal(Endpoint x);
  // 1 / (x_j - x_i) off the diagonal, zeros on it, from vectors.
  Endpoint gaps(Endpoint x);
  Endpoint triangular_solve(Endpoint l, Endpoint x, bool lower, bool adjoint);

  GraphBuilder& b;

 private:
  Endpoint band(Endpoint x, int64_t below, int64_t above);
  Endpoint slice(Endpoint x, std::array<int64_t, 2> begin, std::array<int64_t, 2> end);
};

}  // namespace tenon
