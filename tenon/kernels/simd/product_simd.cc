// product_loops.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/product_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/product_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/part_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::CappedTag<float, 16>;
using LanesVec = hn::Vec<Lanes>;
constexpr int64_t kLanes = hn::MaxLanes(Lanes());

// Sums fill the registers but for a row of b and one value of a.
#if HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM
constexpr int kRowsOfVectors[] = {12, 12, 8, 6};  // 32 registers
#else
constexpr int kRowsOfVectors[] = {12, 6};  // 16 registers
#endif
constexpr int kMostVectors = sizeof(kRowsOfVectors) / sizeof(int);

// A vector, or its first `columns` lanes.
template <bool kPart>
HWY_INLINE LanesVec load(const float* from, int64_t columns) {
  if constexpr (kPart) return load_first(Lanes(), from, columns);
  return hn::LoadU(Lanes(), from);
}
template <bool kPart>
HWY_INLINE void store(LanesVec value, float* to, int64_t columns) {
  if constexpr (kPart) {
    store_first(value, Lanes(), columns, to);
  } else {
    hn::StoreU(value, Lanes(), to);
  }
}

template <bool kPart>
HWY_INLINE LanesVec finished(LanesVec sum, const TileFinish& f, int64_t column, int64_t at,
                             int64_t columns) {
  const Lanes d;
  if (f.bias) sum = hn::Add(sum, load<kPart>(f.bias + column, columns));
  if (f.residual) sum = hn::Add(sum, load<kPart>(f.residual + at, columns));
  const LanesVec low = hn::Set(d, f.limits.low);
  const LanesVec high = hn::Set(d, f.limits.high);
  sum = hn::IfThenElse(hn::Lt(sum, low), low, sum);
  return hn::IfThenElse(hn::Gt(sum, high), high, sum);
}

// kRows rows by kVectors vectors of c, whose first is row `row`, column `column`. kPart: of the one
// vector, only the columns up to s.n are there.
template <int kRows, int kVectors, bool kPart>
void product_tile(const TileProduct& s, int64_t row, int64_t column, const float* a, const float* b,
                  float* c) {
  const Lanes d;
  const int64_t columns = s.n - column;
  float* const to = c + row * s.c_row + column;
  LanesVec sums[kRows][kVectors];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = s.add ? load<kPart>(to + r * s.c_row + v * kLanes, columns) : hn::Zero(d);
    }
  }
  for (int64_t run = 0; run < s.runs; ++run) {
    const float* at = a + row * s.a_row + run * s.a_run;
    for (int64_t k = 0; k < s.k; ++k) {
      LanesVec right[kVectors];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * kLanes);
      HWY_UNROLL(12)
      for (int r = 0; r < kRows; ++r) {
        const LanesVec left = hn::Set(d, at[r * s.a_row]);
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(left, right[v], sums[r][v]);
      }
      at += s.a_column;
      b += s.b_row;
    }
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      const int64_t offset = r * s.c_row + v * kLanes;
      LanesVec sum = sums[r][v];
      if (s.finish) {
        sum = finished<kPart>(sum, *s.finish, column + v * kLanes, to - c + offset, columns);
      }
      store<kPart>(sum, to + offset, columns);
    }
  }
}

// The last rows, fewer than kRows.
template <int kRows, int kVectors, bool kPart>
HWY_INLINE void last_rows(const TileProduct& s, int64_t row, int64_t column, const float* a,
                          const float* b, float* c) {
  if constexpr (kRows > 1) {
    if (s.m - row == kRows - 1) {
      return product_tile<kRows - 1, kVectors, kPart>(s, row, column, a, b, c);
    }
    last_rows<kRows - 1, kVectors, kPart>(s, row, column, a, b, c);
  }
}

template <int kVectors, bool kPart = false>
void product_rows(const TileProduct& s, int64_t column, const float* a, const float* b, float* c) {
  constexpr int kRows = kRowsOfVectors[kVectors - 1];
  int64_t row = 0;
  for (; row + kRows <= s.m; row += kRows) {
    product_tile<kRows, kVectors, kPart>(s, row, column, a, b, c);
  }
  last_rows<kRows, kVectors, kPart>(s, row, column, a, b, c);
}

// `vectors` whole vectors of columns from `column` on.
template <int kVectors = kMostVectors>
void product_columns(int64_t vectors, const TileProduct& s, int64_t column, const float* a,
                     const float* b, float* c) {
  if (vectors == kVectors) {
    product_rows<kVectors>(s, column, a, b, c);
  } else if constexpr (kVectors > 1) {
    product_columns<kVectors - 1>(vectors, s, column, a, b, c);
  }
}

void product(const TileProduct& s, const float* a, const float* b, float* c) {
  const int64_t whole = s.n / kLanes * kLanes;
  for (int64_t column = 0; column < whole; column += kMostVectors * kLanes) {
    const int64_t vectors = (whole - column) / kLanes;
    product_columns(vectors < kMostVectors ? vectors : kMostVectors, s, column, a, b + column, c);
  }
  if (whole < s.n) product_rows<1, true>(s, whole, a, b + whole, c);
}

// Squares of four by four in registers.
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to,
               int64_t to_row) {
  const hn::CappedTag<float, 4> d;
  const int64_t whole_rows = hn::MaxLanes(d) == 4 ? rows / 4 * 4 : 0;
  const int64_t whole_columns = columns / 4 * 4;
  for (int64_t column = 0; column < whole_columns; column += 4) {
    const float* at = from + column * from_row;
    for (int64_t row = 0; row < whole_rows; row += 4, at += 4) {
      const auto a = hn::LoadU(d, at);
      const auto b = hn::LoadU(d, at + from_row);
      const auto c = hn::LoadU(d, at + 2 * from_row);
      const auto e = hn::LoadU(d, at + 3 * from_row);
      const auto ac_low = hn::InterleaveLower(d, a, c);
      const auto be_low = hn::InterleaveLower(d, b, e);
      const auto ac_high = hn::InterleaveUpper(d, a, c);
      const auto be_high = hn::InterleaveUpper(d, b, e);
      float* const out = to + row * to_row + column;
      hn::StoreU(hn::InterleaveLower(d, ac_low, be_low), d, out);
      hn::StoreU(hn::InterleaveUpper(d, ac_low, be_low), d, out + to_row);
      hn::StoreU(hn::InterleaveLower(d, ac_high, be_high), d, out + 2 * to_row);
      hn::StoreU(hn::InterleaveUpper(d, ac_high, be_high), d, out + 3 * to_row);
    }
  }
  const int64_t padded = (columns + kLanes - 1) / kLanes * kLanes;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = row < whole_rows ? whole_columns : 0;
    for (int64_t i = first; i < columns; ++i) to[row * to_row + i] = from[i * from_row + row];
    for (int64_t i = columns; i < padded; ++i) to[row * to_row + i] = 0.0f;
  }
}

const ProductLoops* product_table() {
  static constexpr ProductLoops kLoops = {kLanes, kMostVectors * kLanes, &product, &transpose};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const ProductLoops& product_loops() { return *TENON_BEST(product_table)(); }
}  // namespace tenon::kernels
#endif
