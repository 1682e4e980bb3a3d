// row_ops.h, compiled once per instruction set and chosen at run time.
#include <cstring>
#include <limits>

#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/elementwise_f32.h"
#include "tenon/kernels/simd/row_ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/row_ops_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/math_simd-inl.h"
#include "tenon/kernels/simd/part_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using RowTag = hn::ScalableTag<float>;
using RowVec = hn::Vec<RowTag>;

HWY_INLINE RowVec max_vec(RowVec a, RowVec b) {
  const RowVec larger = hn::IfThenElse(hn::Lt(a, b), b, a);
  return hn::IfThenElse(hn::IsNaN(b), b, larger);
}
HWY_INLINE RowVec min_vec(RowVec a, RowVec b) {
  const RowVec smaller = hn::IfThenElse(hn::Gt(a, b), b, a);
  return hn::IfThenElse(hn::IsNaN(b), b, smaller);
}

// y = combine(y, x) over whole vectors, then the rest one element at a time.
template <class Combine>
HWY_INLINE void combine_rows(int64_t count, const float* x, float* y, Combine combine) {
  const RowTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(combine(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  }
  for (; i < count; ++i) {
    const auto a = hn::Set(d, y[i]);
    const auto b = hn::Set(d, x[i]);
    y[i] = hn::GetLane(combine(a, b));
  }
}

void maximum(int64_t count, const float* x, float* y) { combine_rows(count, x, y, max_vec); }
void minimum(int64_t count, const float* x, float* y) { combine_rows(count, x, y, min_vec); }
void add(int64_t count, const float* x, float* y) {
  combine_rows(count, x, y, [](RowVec a, RowVec b) { return hn::Add(a, b); });
}

// The sums of kVectors vectors of columns stay in registers.
template <int kVectors, class Tag>
HWY_INLINE void sum_some_columns(Tag d, int64_t rows, int64_t stride, const float* x, float* y) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Tag> sums[kVectors];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (int64_t row = 0; row < rows; ++row, x += stride) {
    for (int v = 0; v < kVectors; ++v) sums[v] = hn::Add(sums[v], hn::LoadU(d, x + v * lanes));
  }
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[v], d, y + v * lanes);
}
void sum_rows(int64_t rows, int64_t columns, int64_t stride, const float* x, float* y) {
  const hn::CappedTag<float, 16> d;  // of fixed size, so that vectors may stand in an array
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + 4 * lanes <= columns; i += 4 * lanes)
    sum_some_columns<4>(d, rows, stride, x + i, y + i);
  for (; i + lanes <= columns; i += lanes) sum_some_columns<1>(d, rows, stride, x + i, y + i);
  for (; i < columns; ++i) {
    sum_some_columns<1>(hn::CappedTag<float, 1>(), rows, stride, x + i, y + i);
  }
}

// Plain loops that the compiler vectorises for each instruction set.
void add_square_difference(int64_t count, const float* x, const float* center, double* y) {
  for (int64_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(x[i]) - static_cast<double>(center[i]);
    y[i] += difference * difference;
  }
}
void add_to_double(int64_t count, const float* x, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] += static_cast<double>(x[i]);
}
void add_product_to_double(int64_t count, const float* a, const float* x, const float* center,
                           double* y) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] +=
        static_cast<double>(a[i]) * (static_cast<double>(x[i]) - static_cast<double>(center[i]));
  }
}
// std::fma keeps one rounding whether the compiler vectorises or not; below AVX2 it would be a
// call.
HWY_INLINE float multiply_add(float a, float b, float c) {
#if HWY_NATIVE_FMA
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
void affine(int64_t count, const float* x, const float* scale, const float* shift, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = multiply_add(x[i], scale[i], shift[i]);
}
void affine_two(int64_t count, const float* a, const float* p, const float* x, const float* q,
                const float* r, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = multiply_add(a[i], p[i], multiply_add(x[i], q[i], r[i]));
  }
}

void exp_minus(int64_t count, const float* x, float shift, float* y) {
  const RowTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const RowVec subtracted = hn::Set(d, shift);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(exp_f32(d, hn::Sub(hn::LoadU(d, x + i), subtracted)), d, y + i);
  }
  if (i == count) return;
  const RowVec tail = load_first(d, x + i, count - i);
  store_first(exp_f32(d, hn::Sub(tail, subtracted)), d, count - i, y + i);
}

// Sixteen running sums whatever the vector width is, so that the order is that of the length alone.
constexpr int64_t kLanes = 16;
constexpr int64_t kBlock = 128;
using SumTag = hn::CappedTag<float, kLanes>;

// Lanes i and i + half are added, for halves of 8, 4, 2, 1 in all.
template <class D>
HWY_INLINE float sum_halves(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) == 1) {
    return hn::GetLane(v);
  } else {
    const hn::Half<D> half;
    return sum_halves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

// term(load) of elements [0, count), where load(p) are elements of p.
template <class Term>
HWY_INLINE float block_sum(int64_t count, Term term) {
  const SumTag d;
  constexpr auto kVector = static_cast<int64_t>(hn::MaxLanes(SumTag()));
  constexpr int64_t kVectors = kLanes / kVector;
  const int64_t whole = count / kLanes * kLanes;
  hn::Vec<SumTag> sums[kVectors];
  for (int64_t v = 0; v < kVectors; ++v) {
    auto sum = hn::Zero(d);
    int64_t i = v * kVector;
    for (; i < whole; i += kLanes) {
      sum = hn::Add(sum, term([&](const float* p) { return hn::LoadU(d, p + i); }));
    }
    if (const int64_t rest = count - i; rest > 0) {
      sum = hn::Add(sum, term([&](const float* p) {
                      return rest >= kVector ? hn::LoadU(d, p + i) : load_first(d, p + i, rest);
                    }));
    }
    sums[v] = sum;
  }
  for (int64_t half = kVectors / 2; half > 0; half /= 2) {
    for (int64_t v = 0; v < half; ++v) sums[v] = hn::Add(sums[v], sums[v + half]);
  }
  return sum_halves(d, sums[0]);
}

// Adds blocks in a binary tree: a stack of sums of 1, 2, 4, ... blocks.
template <class Term>
HWY_INLINE float tree_sum(int64_t count, Term term) {
  if (count <= kBlock) return block_sum(count, term);
  float stack[64];
  int depth = 0;
  int64_t block = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock, ++block) {
    const int64_t size = count - begin < kBlock ? count - begin : kBlock;
    stack[depth++] = block_sum(
        size, [&](auto load) { return term([&](const float* p) { return load(p + begin); }); });
    for (int64_t done = block; done & 1; done >>= 1) {
      stack[depth - 2] += stack[depth - 1];
      --depth;
    }
  }
  float sum = 0.0f;
  while (depth > 0) sum += stack[--depth];
  return sum;
}

float sum(int64_t count, const float* x) {
  return tree_sum(count, [&](auto load) { return load(x); });
}
float sum_squares(int64_t count, const float* x) {
  return tree_sum(count, [&](auto load) {
    const auto v = load(x);
    return hn::Mul(v, v);
  });
}
float dot(int64_t count, const float* x, const float* y) {
  return tree_sum(count, [&](auto load) { return hn::Mul(load(x), load(y)); });
}

// `combine` keeps a NaN; `of_lanes` folds the lanes of a vector without one.
template <class Combine, class OfLanes>
HWY_INLINE float fold(int64_t count, const float* x, float start, Combine combine,
                      OfLanes of_lanes) {
  const RowTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  RowVec best = hn::Set(d, start);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) best = combine(best, hn::LoadU(d, x + i));
  if (i < count) best = combine(best, load_first(d, x + i, count - i, start));
  if (HWY_UNLIKELY(!hn::AllFalse(d, hn::IsNaN(best)))) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return hn::GetLane(of_lanes(d, best));
}
float largest(int64_t count, const float* x) {
  return fold(count, x, -std::numeric_limits<float>::infinity(), max_vec,
              [](RowTag d, RowVec v) { return hn::MaxOfLanes(d, v); });
}
float smallest(int64_t count, const float* x) {
  return fold(count, x, std::numeric_limits<float>::infinity(), min_vec,
              [](RowTag d, RowVec v) { return hn::MinOfLanes(d, v); });
}

const RowOps* table() {
  static constexpr RowOps kOps = {&maximum,
                                  &minimum,
                                  &add,
                                  &sum_rows,
                                  &add_square_difference,
                                  &add_to_double,
                                  &add_product_to_double,
                                  &affine,
                                  &affine_two,
                                  &exp_minus,
                                  &sum,
                                  &sum_squares,
                                  &dot,
                                  &largest,
                                  &smallest};
  return &kOps;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const RowOps& row_ops() { return *TENON_BEST(table)(); }
}  // namespace tenon::kernels
#endif
