#include "tenon/kernels/product/bfloat16_loops.h"

#include "tenon/kernels/simd/native_bfloat16.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

// Highway 1.0.3 knows neither of the two, so these are the compiler's own intrinsics.
#define TENON_VECTORS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define TENON_TILES \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))
#endif

namespace tenon::kernels {

#if defined(__x86_64__)
namespace {

constexpr int64_t kVectorFloats = 16;  // float32 values
static_assert(kBfloat16Panel == 2 * kVectorFloats);

TENON_VECTORS __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1u << std::clamp<int64_t>(count, 0, kVectorFloats)) - 1);
}

TENON_VECTORS __m256i rounded(const float* from, __mmask16 lanes) {
  const __m256bh values = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, from));
  return (__m256i)values;  // NOLINT: another view of the same bits
}

TENON_VECTORS void round_values(const float* from, int64_t count, int64_t padded, uint16_t* to) {
  for (int64_t i = 0; i < padded; i += kVectorFloats) {
    const __m256i values = rounded(i < count ? from + i : from, first_lanes(count - i));
    _mm256_mask_storeu_epi16(to + i, first_lanes(padded - i), values);
  }
}

// The forms with a mask: in the others g++ 12 sees its own header's uninitialised variable.
TENON_VECTORS __m512i widened(__m256i values) {
  return _mm512_maskz_cvtepu16_epi32(first_lanes(kVectorFloats), values);
}

TENON_VECTORS void round_pairs(const float* even, const float* odd, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < kBfloat16Panel; i += kVectorFloats) {
    const int64_t at = i < count ? i : 0;
    const __mmask16 lanes = first_lanes(count - i);
    const __m512i low = widened(rounded(even + at, lanes));
    const __m512i high = odd ? widened(rounded(odd + at, lanes)) : _mm512_setzero_si512();
    const __m512i shifted = _mm512_maskz_slli_epi32(first_lanes(kVectorFloats), high, 16);
    _mm512_storeu_si512(to + 2 * i, _mm512_or_si512(low, shifted));
  }
}

// kRows rows of a panel.
template <int kRows>
TENON_VECTORS void vector_rows(const Bfloat16Tile& s, const uint16_t* const* a, int64_t row,
                               const uint16_t* b, float* c) {
  const __mmask16 lanes[2] = {first_lanes(s.n), first_lanes(s.n - kVectorFloats)};
  const int64_t second = s.n > kVectorFloats ? kVectorFloats : 0;
  __m512 sums[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    const float* const from = c + r * s.c_row;
    sums[r][0] = s.add ? _mm512_maskz_loadu_ps(lanes[0], from) : _mm512_setzero_ps();
    sums[r][1] = s.add ? _mm512_maskz_loadu_ps(lanes[1], from + second) : _mm512_setzero_ps();
  }
  for (int64_t run = 0; run < s.runs; ++run) {
    const uint16_t* at = a[run] + row * s.a_row;
    for (int64_t k = 0; k < s.k; k += 2, at += 2, b += 2 * kBfloat16Panel) {
      const __m512bh left = (__m512bh)_mm512_loadu_si512(b);                       // NOLINT
      const __m512bh right = (__m512bh)_mm512_loadu_si512(b + 2 * kVectorFloats);  // NOLINT
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        int32_t pair;
        std::memcpy(&pair, at + r * s.a_row, sizeof(pair));
        const __m512bh terms = (__m512bh)_mm512_set1_epi32(pair);  // NOLINT
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], terms, left);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], terms, right);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    float* const to = c + r * s.c_row;
    _mm512_mask_storeu_ps(to, lanes[0], sums[r][0]);
    _mm512_mask_storeu_ps(to + second, lanes[1], sums[r][1]);
  }
}

template <int kRows>
void last_vector_rows(const Bfloat16Tile& s, const uint16_t* const* a, int64_t row,
                      const uint16_t* b, float* c) {
  if constexpr (kRows > 0) {
    if (s.m - row == kRows) return vector_rows<kRows>(s, a, row, b, c);
    last_vector_rows<kRows - 1>(s, a, row, b, c);
  }
}

void vector_product(const Bfloat16Tile& s, const uint16_t* const* a, const uint16_t* b, float* c) {
  constexpr int kRows = 12;  // 24 sums, 2 vectors of b, the terms of a
  int64_t row = 0;
  for (; row + kRows <= s.m; row += kRows) vector_rows<kRows>(s, a, row, b, c + row * s.c_row);
  last_vector_rows<kRows - 1>(s, a, row, b, c + row * s.c_row);
}

// Intel's manual, volume 1, 18.2: the memory that LDTILECFG reads. Every tile has 16 rows of 64
// bytes: 16 by 16 sums, 16 rows by 32 terms of a, or 16 pairs of terms by 16 columns of b.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

constexpr int64_t kTileRows = 16;

// 32 rows by 32 columns of c from row `row` of a on, or the first 16 of these rows.
template <bool kBothRows>
TENON_TILES void tile_square(const Bfloat16Tile& s, const uint16_t* const* a, int64_t row,
                             const uint16_t* b, float* c, int64_t c_row) {
  const auto c_stride = static_cast<size_t>(c_row) * sizeof(float);
  const auto a_stride = static_cast<size_t>(s.a_row) * sizeof(uint16_t);
  constexpr size_t kStrideOfB = 2 * kBfloat16Panel * sizeof(uint16_t);
  float* const c_low = c + kTileRows * c_row;
  if (s.add) {
    _tile_loadd(0, c, c_stride);
    _tile_loadd(1, c + kTileRows, c_stride);
    if constexpr (kBothRows) {
      _tile_loadd(2, c_low, c_stride);
      _tile_loadd(3, c_low + kTileRows, c_stride);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kBothRows) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  for (int64_t run = 0; run < s.runs; ++run) {
    const uint16_t* at = a[run] + row * s.a_row;
    for (int64_t term = 0; term < s.k; term += kBfloat16Terms) {
      _tile_loadd(4, at, a_stride);
      _tile_loadd(6, b, kStrideOfB);
      _tile_loadd(7, b + 2 * kTileRows, kStrideOfB);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kBothRows) {
        _tile_loadd(5, at + kTileRows * s.a_row, a_stride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      at += kBfloat16Terms;
      b += kBfloat16Terms * kBfloat16Panel;
    }
  }
  _tile_stored(0, c, c_stride);
  _tile_stored(1, c + kTileRows, c_stride);
  if constexpr (kBothRows) {
    _tile_stored(2, c_low, c_stride);
    _tile_stored(3, c_low + kTileRows, c_stride);
  }
}

void copy_rows(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to,
               int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * from_row, columns, to + r * to_row);
}

void tile_rows(const Bfloat16Tile& s, const uint16_t* const* a, int64_t row, const uint16_t* b,
               float* c) {
  const int64_t rows = std::min(2 * kTileRows, s.m - row);
  float* const to = c + row * s.c_row;
  if (rows == 2 * kTileRows && s.n == kBfloat16Panel) {
    return tile_square<true>(s, a, row, b, to, s.c_row);
  }
  // What stands in c beside the result is somebody else's.
  alignas(64) float own[4 * kTileRows * kTileRows];
  if (s.add) copy_rows(rows, s.n, to, s.c_row, own, kBfloat16Panel);
  if (rows > kTileRows) {
    tile_square<true>(s, a, row, b, own, kBfloat16Panel);
  } else {
    tile_square<false>(s, a, row, b, own, kBfloat16Panel);
  }
  copy_rows(rows, s.n, own, kBfloat16Panel, to, s.c_row);
}

TENON_TILES void tile_product(const Bfloat16Tile& s, const uint16_t* const* a, const uint16_t* b,
                              float* c) {
  static constexpr TileShapes kShapes;
  _tile_loadconfig(&kShapes);
  for (int64_t row = 0; row < s.m; row += 2 * kTileRows) tile_rows(s, a, row, b, c);
  _tile_release();
}

constexpr Bfloat16Loops kVectorLoops{"bfloat16 vectors", 1, &vector_product, &round_values,
                                     &round_pairs};
constexpr Bfloat16Loops kTileLoops{"bfloat16 tiles", kTileRows, &tile_product, &round_values,
                                   &round_pairs};

}  // namespace

const Bfloat16Loops* bfloat16_vector_loops() {
  return native_bfloat16().vectors ? &kVectorLoops : nullptr;
}

const Bfloat16Loops* bfloat16_tile_loops() {
  return native_bfloat16().tiles ? &kTileLoops : nullptr;
}

#else

const Bfloat16Loops* bfloat16_vector_loops() { return nullptr; }
const Bfloat16Loops* bfloat16_tile_loops() { return nullptr; }

#endif

const Bfloat16Loops* bfloat16_loops() {
  static const Bfloat16Loops* const best =
      bfloat16_tile_loops() ? bfloat16_tile_loops() : bfloat16_vector_loops();
  return best;
}

}  // namespace tenon::kernels
