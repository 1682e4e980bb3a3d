// Reductions over any axes, in a fixed order.
//
// float32 sums add blocks pairwise, so the error grows with the logarithm of the length; float16
// and bfloat16 sum in float32 and round once. The order depends on the shape alone: same bits for
// any team size.
#pragma once

#include <span>

#include "tenon/core/dtype.h"
#include "tenon/core/shape.h"

namespace tenon::kernels {

// Integer means divide towards zero. Empty sums are 0, products 1, maxima the lowest value (minus
// infinity), minima the highest, all true, any false; an empty mean is NaN (0 for integers and
// complex numbers). kEuclideanNorm is sqrt(sum(x conj(x))).
enum class ReduceOp : uint8_t { kSum, kMean, kProd, kMax, kMin, kAll, kAny, kEuclideanNorm };

// Neighbouring axes that are all kept or all reduced are merged.
struct ReducePlan {
  Dims dims;                   // collapsed, alternating kept and reduced
  bool first_reduced = false;  // is dims[0] reduced?
  int64_t output_count = 0;
  int64_t reduced_count = 0;  // elements that go into one result
};
// `reduced[i]` says whether axis i is reduced; its size is the rank.
ReducePlan plan_reduce(const Shape& shape, std::span<const bool> reduced);

// y has plan.output_count elements. False when the dtype has no such reduction: kAll and kAny take
// bool, kMax and kMin real dtypes, the rest numeric ones.
bool reduce(ReduceOp op, DType dtype, const ReducePlan& plan, const void* x, void* y);

// Index of the first largest (smallest) along the middle axis of [outer, size, inner]; a NaN counts
// as TensorFlow's comparison makes it: never larger. Index: int32_t or int64_t; T: real dtypes and
// bool.
template <class T, class Index>
void arg_max(int64_t outer, int64_t size, int64_t inner, const T* x, Index* y);
template <class T, class Index>
void arg_min(int64_t outer, int64_t size, int64_t inner, const T* x, Index* y);

// y[column] = sum over rows of x[rows, columns], in a fixed order: a bias gradient.
template <class T>
void column_sum(int64_t rows, int64_t columns, const T* x, T* y);

}  // namespace tenon::kernels
