// What the ops on batches of matrices share: shapes, the loop over the batch, dispatch by dtype.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

using MatrixTypes = TypeList<float, double, std::complex<float>, std::complex<double>>;
using HalfMatrixTypes = TypeList<float, double, float16, std::complex<float>, std::complex<double>>;

// A tensor as matrices: its last two dimensions, the product of the others.
struct Matrices {
  int64_t count = 0, rows = 0, columns = 0;
  int64_t size() const { return rows * columns; }
};
Matrices matrices_of(const Shape& shape);

// Runs `one(i)` for each matrix, on several threads when `work` (multiplications a matrix) pays for
// it. The error of the first matrix that has one; the others are computed all the same.
Status for_each_matrix(int64_t count, double work, FunctionRef<Status(int64_t)> one);

// The kernel that `make` has for the dtype of input 0, UNIMPLEMENTED when it is not in `Types`.
template <class Types, class Make>
StatusOr<Kernel> matrix_kernel(Prepare& p, Make&& make) {
  StatusOr<Kernel> kernel =
      unimplemented(p.op().name(), " has no CPU kernel for dtype ", p.input_dtype(0));
  visit<Types>(p.input_dtype(0), [&]<class T>() { kernel = make.template operator()<T>(); });
  return kernel;
}

// Two batches that broadcast against each other: which matrix of each goes with matrix i of the
// result.
class BatchPairs {
 public:
  // Of the shapes' dimensions but the last two; they must go together.
  static StatusOr<BatchPairs> make(const Shape& a, const Shape& b);
  int64_t count() const { return batch_.num_elements(); }
  int64_t first(int64_t i) const { return index(i, a_); }
  int64_t second(int64_t i) const { return index(i, b_); }

 private:
  int64_t index(int64_t i, const Shape& side) const;
  Shape batch_, a_, b_;
};

// --- shape functions ---

// `shape` with its last `drop` dimensions replaced.
PartialShape with_last_dims(const PartialShape& shape, int drop,
                            std::initializer_list<int64_t> last);

// Input 0 is a batch of square matrices; output 0 has its shape.
Status square_shape(ShapeContext& c);
// INVALID_ARGUMENT unless input `index` is (or may be) a batch of square matrices; the batch with
// both sizes merged.
StatusOr<PartialShape> square_matrices(const ShapeContext& c, int index);
// Output 0 of a solver: input 0 [..., m, m], input 1 [..., m, k] of the same batch.
Status solve_shape(ShapeContext& c);
// Batch dimensions of inputs 0 and 1, equal as far as they are known.
StatusOr<PartialShape> common_batch(const ShapeContext& c);

// Each matrix of input 0 is a row's own; not for ops that refuse some values, since a merged
// request would be refused for its neighbour's.
Rows matrix_rows(const ShapeContext& c);

}  // namespace tenon
