#include "tenon/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/scalar/elementwise_generic.h"
#include "tenon/kernels/simd/row_ops.h"

namespace tenon::kernels {
namespace {

// What a sum of T's is kept in; a mean's of small integers does not wrap.
template <class Step, class T>
struct AccumulatorOf {
  using Type = Compute<T>;
};
template <class Step, class T>
using Accumulator = typename AccumulatorOf<Step, T>::Type;

struct SumStep {
  template <class A>
  static A start() {
    return A{};
  }
  template <class A>
  static A step(A a, A b) {
    return wrap_add(a, b);
  }
};
struct ProdStep {
  template <class A>
  static A start() {
    return A{1};
  }
  template <class A>
  static A step(A a, A b) {
    return wrap_mul(a, b);
  }
};
struct MaxStep {
  template <class A>
  static A start() {
    if constexpr (std::is_floating_point_v<A>) return -std::numeric_limits<A>::infinity();
    return std::numeric_limits<A>::lowest();
  }
  template <class A>
  static A step(A a, A b) {
    return larger(a, b);
  }
};
struct MinStep {
  template <class A>
  static A start() {
    if constexpr (std::is_floating_point_v<A>) return std::numeric_limits<A>::infinity();
    return std::numeric_limits<A>::max();
  }
  template <class A>
  static A step(A a, A b) {
    return smaller(a, b);
  }
};
struct AllStep {
  template <class A>
  static A start() {
    return true;
  }
  template <class A>
  static A step(A a, A b) {
    return a && b;
  }
};
struct AnyStep {
  template <class A>
  static A start() {
    return false;
  }
  template <class A>
  static A step(A a, A b) {
    return a || b;
  }
};
struct SquareStep : SumStep {};
struct MeanStep : SumStep {};

template <class T>
requires is_integer_v<T>
struct AccumulatorOf<MeanStep, T> {
  using Type = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
};

template <class Step>
inline constexpr bool kAdds = std::is_same_v<Step, SumStep> || std::is_same_v<Step, MeanStep>;

// The kept and the reduced dimensions of a plan, outermost first.
struct Axes {
  Dims kept, kept_strides, reduced, reduced_strides;
};

Axes axes_of(const ReducePlan& plan) {
  Axes axes;
  int64_t stride = 1;
  for (size_t i = plan.dims.size(); i-- > 0;) {
    const bool reduced = plan.first_reduced == (i % 2 == 0);
    Dims& dims = reduced ? axes.reduced : axes.kept;
    Dims& strides = reduced ? axes.reduced_strides : axes.kept_strides;
    dims.insert(dims.begin(), plan.dims[i]);
    strides.insert(strides.begin(), stride);
    stride *= plan.dims[i];
  }
  return axes;
}

// Offset of the `index`-th element, row-major over `dims`.
int64_t offset_of(int64_t index, const Dims& dims, const Dims& strides) {
  int64_t offset = 0;
  for (size_t i = dims.size(); i-- > 0;) {
    offset += index % dims[i] * strides[i];
    index /= dims[i];
  }
  return offset;
}

template <class Step, class T>
Accumulator<Step, T> term(T x) {
  const auto value = static_cast<Accumulator<Step, T>>(x);
  if constexpr (std::is_same_v<Step, SquareStep>) {
    if constexpr (is_complex_v<T>) {
      return value * std::conj(value);
    } else {
      return wrap_mul(value, value);
    }
  } else {
    return value;
  }
}

// One contiguous run of reduced elements.
template <class Step, class T>
Accumulator<Step, T> reduce_run(int64_t count, const T* x) {
  using A = Accumulator<Step, T>;
  if constexpr (std::is_same_v<T, float>) {
    const RowOps& rows = row_ops();
    if constexpr (kAdds<Step>) return rows.sum(count, x);
    if constexpr (std::is_same_v<Step, SquareStep>) return rows.sum_squares(count, x);
    if constexpr (std::is_same_v<Step, MaxStep>) return rows.largest(count, x);
    if constexpr (std::is_same_v<Step, MinStep>) return rows.smallest(count, x);
  }
  A total = Step::template start<A>();
  for (int64_t i = 0; i < count; ++i) total = Step::step(total, term<Step>(x[i]));
  return total;
}

// Adds `rows` rows into `sums` [columns] pairwise: halves of a long range are summed apart, so that
// float32's error grows with the logarithm.
constexpr int64_t kPairwiseRows = 32;
constexpr int64_t kColumnChunk = 128;

template <class Step, class T>
void combine_row(int64_t columns, const T* x, Accumulator<Step, T>* sums) {
  if constexpr (std::is_same_v<T, float> && kAdds<Step>) {
    row_ops().add(columns, x, sums);
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Step, MaxStep>) {
    row_ops().maximum(columns, x, sums);
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Step, MinStep>) {
    row_ops().minimum(columns, x, sums);
  } else {
    for (int64_t i = 0; i < columns; ++i) sums[i] = Step::step(sums[i], term<Step>(x[i]));
  }
}

// Rows [begin, end) in the row-major order of `dims`, each `columns` (at most kColumnChunk) long.
template <class Step, class T>
void reduce_rows(int64_t begin, int64_t end, const Dims& dims, const Dims& strides, const T* x,
                 int64_t columns, Accumulator<Step, T>* sums) {
  using A = Accumulator<Step, T>;
  std::fill_n(sums, columns, Step::template start<A>());
  if (end - begin <= kPairwiseRows) {
    if constexpr (std::is_same_v<T, float> && kAdds<Step>) {
      if (dims.size() == 1) {
        return row_ops().sum_rows(end - begin, columns, strides[0], x + begin * strides[0], sums);
      }
    }
    for (int64_t row = begin; row < end; ++row) {
      combine_row<Step>(columns, x + offset_of(row, dims, strides), sums);
    }
    return;
  }
  // The split is at a power of two of the row count: the shape alone decides it.
  int64_t half = kPairwiseRows;
  while (half * 2 < end - begin) half *= 2;
  A other[kColumnChunk];
  reduce_rows<Step>(begin, begin + half, dims, strides, x, columns, sums);
  reduce_rows<Step>(begin + half, end, dims, strides, x, columns, other);
  for (int64_t i = 0; i < columns; ++i) sums[i] = Step::step(sums[i], other[i]);
}

// Adds sums of neighbouring ranges in reduce_rows' tree; the result is in sums[0].
template <class Step, class A>
void combine_parts(int64_t parts, int64_t columns, A (*sums)[kColumnChunk]) {
  if (parts == 1) return;
  int64_t half = 1;
  while (half * 2 < parts) half *= 2;
  combine_parts<Step>(half, columns, sums);
  combine_parts<Step>(parts - half, columns, sums + half);
  for (int64_t i = 0; i < columns; ++i) sums[0][i] = Step::step(sums[0][i], sums[half][i]);
}

// reduce_rows over all rows, split over the team. The parts are subtrees of its tree, so that the
// bits are the same.
constexpr int64_t kMostParts = 32;

template <class Step, class T>
void reduce_rows_in_parts(int64_t rows, const Dims& dims, const Dims& strides, const T* x,
                          int64_t columns, Accumulator<Step, T>* sums) {
  int64_t part = kPairwiseRows;
  while (part * kMostParts < rows) part *= 2;
  const int64_t parts = (rows + part - 1) / part;
  Accumulator<Step, T> partial[kMostParts][kColumnChunk];
  const int64_t grain = grain_of(part * columns);
  parallel_for(parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      reduce_rows<Step>(i * part, std::min(rows, (i + 1) * part), dims, strides, x, columns,
                        partial[i]);
    }
  });
  combine_parts<Step>(parts, columns, partial);
  std::copy_n(partial[0], columns, sums);
}

// Truncated; of a sum of squares that wrapped to below 0 what the processor converts a NaN to.
template <class T>
T root_of_integer(T total) {
  if constexpr (std::is_signed_v<T>) {
    if (total < 0) return sizeof(T) >= 4 ? std::numeric_limits<T>::lowest() : T{0};
  }
  return static_cast<T>(std::sqrt(static_cast<double>(total)));
}

template <class T, class A>
T finish(ReduceOp op, A total, int64_t count) {
  if (op == ReduceOp::kMean) {
    if constexpr (is_integer_v<T>) {
      return count == 0 ? T{0} : static_cast<T>(total / static_cast<A>(count));
    } else if constexpr (!std::is_same_v<T, bool>) {
      using Real = decltype(std::abs(A{}));
      if (is_complex_v<T> && count == 0) return T{};
      return static_cast<T>(total / static_cast<Real>(count));
    }
  }
  if constexpr (std::is_floating_point_v<A> || is_complex_v<A>) {
    if (op == ReduceOp::kEuclideanNorm) return static_cast<T>(std::sqrt(total));
  } else if constexpr (is_integer_v<A>) {
    if (op == ReduceOp::kEuclideanNorm) return root_of_integer(total);
  }
  return static_cast<T>(total);
}

// The innermost dimension is reduced: one contiguous run after the other, runs added pairwise.
template <class Step, class T>
void reduce_inner(ReduceOp op, const ReducePlan& plan, const Axes& axes, const T* x, T* y) {
  using A = Accumulator<Step, T>;
  Dims outer(axes.reduced.begin(), axes.reduced.end() - 1);
  Dims strides(axes.reduced_strides.begin(), axes.reduced_strides.end() - 1);
  const int64_t run = axes.reduced.back();
  const int64_t runs = run == 0 ? 0 : plan.reduced_count / run;
  const int64_t grain = grain_of(plan.reduced_count);
  parallel_for(plan.output_count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = x + offset_of(i, axes.kept, axes.kept_strides);
      A total = Step::template start<A>();
      for (int64_t r = 0; r < runs; ++r) {
        total = Step::step(total, reduce_run<Step>(run, from + offset_of(r, outer, strides)));
      }
      y[i] = finish<T>(op, total, plan.reduced_count);
    }
  });
}

// The innermost dimension is kept: rows are combined, a chunk of columns at a time.
template <class Step, class T>
void reduce_outer(ReduceOp op, const ReducePlan& plan, const Axes& axes, const T* x, T* y) {
  using A = Accumulator<Step, T>;
  const int64_t columns = axes.kept.back();
  const int64_t chunks = (columns + kColumnChunk - 1) / kColumnChunk;
  const int64_t outer = columns == 0 ? 0 : plan.output_count / columns;
  Dims kept(axes.kept.begin(), axes.kept.end() - 1);
  Dims strides(axes.kept_strides.begin(), axes.kept_strides.end() - 1);
  const auto reduce_chunk = [&](int64_t i, auto reduce) {
    const int64_t first = i % chunks * kColumnChunk;
    const int64_t count = std::min(kColumnChunk, columns - first);
    A sums[kColumnChunk];
    reduce(x + offset_of(i / chunks, kept, strides) + first, count, sums);
    T* to = y + i / chunks * columns + first;
    for (int64_t j = 0; j < count; ++j) to[j] = finish<T>(op, sums[j], plan.reduced_count);
  };
  if (outer * chunks < team_size() && plan.reduced_count > kPairwiseRows) {
    for (int64_t i = 0; i < outer * chunks; ++i) {
      reduce_chunk(i, [&](const T* from, int64_t count, A* sums) {
        reduce_rows_in_parts<Step>(plan.reduced_count, axes.reduced, axes.reduced_strides, from,
                                   count, sums);
      });
    }
    return;
  }
  const int64_t work = plan.reduced_count * std::min(columns, kColumnChunk);
  parallel_for(outer * chunks, grain_of(work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      reduce_chunk(i, [&](const T* from, int64_t count, A* sums) {
        reduce_rows<Step>(0, plan.reduced_count, axes.reduced, axes.reduced_strides, from, count,
                          sums);
      });
    }
  });
}

template <class Step, class Types>
bool reduce_typed(ReduceOp op, DType dtype, const ReducePlan& plan, const void* x, void* y) {
  return visit<Types>(dtype, [&]<class T>() {
    const Axes axes = axes_of(plan);
    const bool inner = plan.first_reduced == (plan.dims.size() % 2 == 1);
    if (inner) {
      reduce_inner<Step>(op, plan, axes, static_cast<const T*>(x), static_cast<T*>(y));
    } else {
      reduce_outer<Step>(op, plan, axes, static_cast<const T*>(x), static_cast<T*>(y));
    }
  });
}

template <bool kLargest, class T, class Index>
void arg_best(int64_t outer, int64_t size, int64_t inner, const T* x, Index* y) {
  using C = Compute<T>;
  parallel_for(outer * inner, grain_of(size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = x + i / inner * size * inner + i % inner;
      // As in TensorFlow: the first, unless something beats the end of the finite numbers.
      using Limits = std::numeric_limits<T>;
      C best = static_cast<C>(kLargest ? Limits::lowest() : Limits::max());
      int64_t at = 0;
      for (int64_t j = 0; j < size; ++j) {
        const C value = static_cast<C>(from[j * inner]);
        if (kLargest ? value > best : value < best) {
          best = value;
          at = j;
        }
      }
      y[i] = static_cast<Index>(at);
    }
  });
}

}  // namespace

ReducePlan plan_reduce(const Shape& shape, std::span<const bool> reduced) {
  ReducePlan plan;
  plan.output_count = 1;
  plan.reduced_count = 1;
  bool last = false;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool is_reduced = reduced[static_cast<size_t>(axis)];
    const int64_t size = shape[axis];
    (is_reduced ? plan.reduced_count : plan.output_count) *= size;
    if (size == 1) continue;
    if (!plan.dims.empty() && last == is_reduced) {
      plan.dims.back() *= size;
      continue;
    }
    if (plan.dims.empty()) plan.first_reduced = is_reduced;
    plan.dims.push_back(size);
    last = is_reduced;
  }
  if (plan.dims.empty()) plan.dims.push_back(1);  // one element, kept
  return plan;
}

bool reduce(ReduceOp op, DType dtype, const ReducePlan& plan, const void* x, void* y) {
  using Truth = TypeList<bool>;
  switch (op) {
    case ReduceOp::kSum:
      return reduce_typed<SumStep, NumericTypes>(op, dtype, plan, x, y);
    case ReduceOp::kMean:
      return reduce_typed<MeanStep, NumericTypes>(op, dtype, plan, x, y);
    case ReduceOp::kProd:
      return reduce_typed<ProdStep, NumericTypes>(op, dtype, plan, x, y);
    case ReduceOp::kMax:
      return reduce_typed<MaxStep, RealTypes>(op, dtype, plan, x, y);
    case ReduceOp::kMin:
      return reduce_typed<MinStep, RealTypes>(op, dtype, plan, x, y);
    case ReduceOp::kAll:
      return reduce_typed<AllStep, Truth>(op, dtype, plan, x, y);
    case ReduceOp::kAny:
      return reduce_typed<AnyStep, Truth>(op, dtype, plan, x, y);
    case ReduceOp::kEuclideanNorm:
      return reduce_typed<SquareStep, NumericTypes>(op, dtype, plan, x, y);
  }
  return false;
}

template <class T, class Index>
void arg_max(int64_t outer, int64_t size, int64_t inner, const T* x, Index* y) {
  arg_best<true>(outer, size, inner, x, y);
}
template <class T, class Index>
void arg_min(int64_t outer, int64_t size, int64_t inner, const T* x, Index* y) {
  arg_best<false>(outer, size, inner, x, y);
}

template <class T>
void column_sum(int64_t rows, int64_t columns, const T* x, T* y) {
  const bool reduced[] = {true, false};
  reduce(ReduceOp::kSum, dtype_of<T>, plan_reduce(Shape{rows, columns}, reduced), x, y);
}

#define TENON_INSTANTIATE(T)                                            \
  template void arg_max(int64_t, int64_t, int64_t, const T*, int32_t*); \
  template void arg_max(int64_t, int64_t, int64_t, const T*, int64_t*); \
  template void arg_min(int64_t, int64_t, int64_t, const T*, int32_t*); \
  template void arg_min(int64_t, int64_t, int64_t, const T*, int64_t*);
TENON_INSTANTIATE(bool)
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
TENON_INSTANTIATE(int8_t)
TENON_INSTANTIATE(int16_t)
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
TENON_INSTANTIATE(uint8_t)
TENON_INSTANTIATE(uint16_t)
TENON_INSTANTIATE(uint32_t)
TENON_INSTANTIATE(uint64_t)
#undef TENON_INSTANTIATE
#define TENON_INSTANTIATE(T) template void column_sum(int64_t, int64_t, const T*, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
