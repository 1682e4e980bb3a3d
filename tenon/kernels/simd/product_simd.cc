// product_loops.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/product_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/product_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/tile_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Sums fill the registers but for a row of b and one value of a.
#if HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM
constexpr int kRowsOfVectors[] = {12, 12, 8, 6};  // 32 registers
#else
constexpr int kRowsOfVectors[] = {12, 6};  // 16 registers
#endif
constexpr int kMostVectors = sizeof(kRowsOfVectors) / sizeof(int);

// Where the left operand's values stand. A run gives value(r) of the tile's row r for one term
// after the other, next() going on to the next term.

// Rows and terms at equal distances.
struct SpacedLeft {
  const float* a;
  template <int kRows>
  struct Run {
    const float* at;
    int64_t row, term;
    HWY_INLINE float value(int r) const { return at[r * row]; }
    HWY_INLINE void next() { at += term; }
  };
  template <int kRows>
  HWY_INLINE Run<kRows> run(const TileProduct& s, int64_t row, int64_t run) const {
    return {a + row * s.a_row + run * s.a_run, s.a_row, s.a_column};
  }
};

// Each row of each run where a table says; its terms lie side by side.
struct GatheredRows {
  const float* const* rows;
  template <int kRows>
  struct Run {
    const float* at[kRows];
    int64_t term = 0;
    HWY_INLINE float value(int r) const { return at[r][term]; }
    HWY_INLINE void next() { ++term; }
  };
  template <int kRows>
  HWY_INLINE Run<kRows> run(const TileProduct& s, int64_t row, int64_t run) const {
    Run<kRows> found;
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) found.at[r] = rows[run * s.a_run + row + r] + s.a_column;
    return found;
  }
};

// Each term where a table says; its rows lie side by side.
struct GatheredTerms {
  const float* const* terms;
  template <int kRows>
  struct Run {
    const float* const* at;
    int64_t row;
    HWY_INLINE float value(int r) const { return (*at)[row + r]; }
    HWY_INLINE void next() { ++at; }
  };
  template <int kRows>
  HWY_INLINE Run<kRows> run(const TileProduct& s, int64_t row, int64_t) const {
    return {terms, row + s.a_column};
  }
};

// kRows rows by kVectors vectors of c, whose first is row `row`, column `column`. kPart: of the one
// vector, only the columns up to s.n are there. kFetches: asks for a line of the next panel with
// each term; the tiles of successive rows share them out.
template <int kRows, int kVectors, bool kPart, bool kFetches, class Left>
void product_tile(const TileProduct& s, int64_t row, int64_t column, const Left& a, const float* b,
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
  [[maybe_unused]] const float* next = kFetches ? s.next_b + row / kRows * kLanes : nullptr;
  for (int64_t run = 0; run < s.runs; ++run) {
    auto left = a.template run<kRows>(s, row, run);
    for (int64_t k = 0; k < s.k; ++k) {
      if constexpr (kFetches) {
        __builtin_prefetch(next, 0, 2);
        next += s.b_row;
      }
      LanesVec right[kVectors];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * kLanes);
      HWY_UNROLL(12)
      for (int r = 0; r < kRows; ++r) {
        const LanesVec value = hn::Set(d, left.value(r));
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(value, right[v], sums[r][v]);
      }
      left.next();
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
template <int kRows, int kVectors, bool kPart, class Left>
HWY_INLINE void last_rows(const TileProduct& s, int64_t row, int64_t column, const Left& a,
                          const float* b, float* c) {
  if constexpr (kRows > 1) {
    if (s.m - row == kRows - 1) {
      return product_tile<kRows - 1, kVectors, kPart, false>(s, row, column, a, b, c);
    }
    last_rows<kRows - 1, kVectors, kPart>(s, row, column, a, b, c);
  }
}

template <int kVectors, bool kPart, class Left>
void product_rows(const TileProduct& s, int64_t column, const Left& a, const float* b, float* c) {
  constexpr int kRows = kRowsOfVectors[kVectors - 1];
  int64_t row = 0;
  if constexpr (kVectors == kMostVectors) {
    const int64_t fetching = s.next_b ? kVectors * kRows : 0;
    for (; row + kRows <= std::min(s.m, fetching); row += kRows) {
      product_tile<kRows, kVectors, kPart, true>(s, row, column, a, b, c);
    }
  }
  for (; row + kRows <= s.m; row += kRows) {
    product_tile<kRows, kVectors, kPart, false>(s, row, column, a, b, c);
  }
  last_rows<kRows, kVectors, kPart>(s, row, column, a, b, c);
}

// `vectors` whole vectors of columns from `column` on.
template <int kVectors = kMostVectors, class Left>
void product_columns(int64_t vectors, const TileProduct& s, int64_t column, const Left& a,
                     const float* b, float* c) {
  if (vectors == kVectors) {
    product_rows<kVectors, false>(s, column, a, b, c);
  } else if constexpr (kVectors > 1) {
    product_columns<kVectors - 1>(vectors, s, column, a, b, c);
  }
}

template <class Left>
HWY_INLINE void product_of(const TileProduct& s, const Left& a, const float* b, float* c) {
  const int64_t whole = s.n / kLanes * kLanes;
  for (int64_t column = 0; column < whole; column += kMostVectors * kLanes) {
    const int64_t vectors = (whole - column) / kLanes;
    product_columns(vectors < kMostVectors ? vectors : kMostVectors, s, column, a, b + column, c);
  }
  if (whole < s.n) product_rows<1, true>(s, whole, a, b + whole, c);
}

void product(const TileProduct& s, const float* a, const float* b, float* c) {
  product_of(s, SpacedLeft{a}, b, c);
}

void product_of_rows(const TileProduct& s, const float* const* rows, const float* b, float* c) {
  product_of(s, GatheredRows{rows}, b, c);
}

void product_of_terms_here(const TileProduct& s, const float* const* terms, const float* b,
                           float* c) {
  product_of(s, GatheredTerms{terms}, b, c);
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
  static constexpr ProductLoops kLoops = {.lanes = kLanes,
                                          .panel = kMostVectors * kLanes,
                                          .product = &product,
                                          .product_of_rows = &product_of_rows,
                                          .transpose = &transpose};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const ProductLoops& product_loops() { return *TENON_BEST(product_table)(); }

void product_of_terms(const TileProduct& sizes, const float* const* terms, const float* b,
                      float* c) {
  TENON_BEST(product_of_terms_here)(sizes, terms, b, c);
}
}  // namespace tenon::kernels
#endif
