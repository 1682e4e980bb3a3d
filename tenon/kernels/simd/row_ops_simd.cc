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

// Sixteen running sums whatever the vector width is, so that the order is that of the length alone.
constexpr int64_t kLanes = 16;
constexpr int64_t kBlock = 128;

template <class Term>
HWY_INLINE float block_sum(int64_t count, Term term) {
  const hn::CappedTag<float, kLanes> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float sums[kLanes] = {};
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t lane = 0; lane < kLanes; lane += lanes) {
    auto sum = hn::Zero(d);
    for (int64_t i = 0; i < whole; i += kLanes) sum = hn::Add(sum, term(d, i + lane));
    hn::Store(sum, d, sums + lane);
  }
  HWY_ALIGN float one[kLanes];
  for (int64_t i = whole; i < count; ++i) {
    hn::Store(term(hn::CappedTag<float, 1>(), i), hn::CappedTag<float, 1>(), one);
    sums[i - whole] += one[0];
  }
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

// Adds blocks in a binary tree: a stack of sums of 1, 2, 4, ... blocks.
template <class Term>
HWY_INLINE float tree_sum(int64_t count, Term term) {
  float stack[64];
  int depth = 0;
  int64_t block = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock, ++block) {
    const int64_t size = count - begin < kBlock ? count - begin : kBlock;
    stack[depth++] = block_sum(size, [&](auto d, int64_t i) { return term(d, begin + i); });
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
  return tree_sum(count, [&](auto d, int64_t i) { return hn::LoadU(d, x + i); });
}
float sum_squares(int64_t count, const float* x) {
  return tree_sum(count, [&](auto d, int64_t i) {
    const auto v = hn::LoadU(d, x + i);
    return hn::Mul(v, v);
  });
}
float dot(int64_t count, const float* x, const float* y) {
  return tree_sum(
      count, [&](auto d, int64_t i) { return hn::Mul(hn::LoadU(d, x + i), hn::LoadU(d, y + i)); });
}

template <class Combine>
HWY_INLINE float fold(int64_t count, const float* x, float start, Combine combine) {
  const RowTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  RowVec best = hn::Set(d, start);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) best = combine(best, hn::LoadU(d, x + i));
  for (; i < count; ++i) best = combine(best, hn::Set(d, x[i]));
  HWY_ALIGN float values[hn::MaxLanes(d)];
  hn::Store(best, d, values);
  for (int64_t lane = 0; lane < lanes; ++lane) best = combine(best, hn::Set(d, values[lane]));
  return hn::GetLane(best);
}
float largest(int64_t count, const float* x) {
  return fold(count, x, -std::numeric_limits<float>::infinity(), max_vec);
}
float smallest(int64_t count, const float* x) {
  return fold(count, x, std::numeric_limits<float>::infinity(), min_vec);
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
