// level_loops.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/level_loops.h"
#include "tenon/kernels/simd/native_dots.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/level_product_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"
#include "tenon/kernels/simd/level_finish_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Sums = hn::CappedTag<int32_t, 16>;
using SumsVec = hn::Vec<Sums>;
constexpr int64_t kSumLanes = hn::MaxLanes(Sums());

#if HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM
constexpr int kLevelRowsOfVectors[] = {12, 12, 8, 6};  // 32 registers; divide kLevelRows
#else
constexpr int kLevelRowsOfVectors[] = {12, 6};  // 16 registers
#endif
constexpr int kMostLevelVectors = sizeof(kLevelRowsOfVectors) / sizeof(int);
// Of 128 bits, only two at a time are narrowed.
constexpr int kVectorsApart = kSumLanes < 8 ? 2 : 1;

// sum + a0 * b0 + a1 * b1 of the two 16-bit values in each lane. Saturating instructions
// (pmaddubsw) are no use: they are not exact.
struct Pairs {
  template <class D32, class V32 = hn::Vec<D32>>
  static HWY_INLINE V32 dot(D32 d32, V32 sum, V32 a, V32 b) {
#if HWY_TARGET <= HWY_SSSE3 && HWY_ARCH_X86
    const hn::Repartition<int16_t, D32> d16;
    V32 unused = hn::Zero(d32);
    return hn::ReorderWidenMulAccumulate(d32, hn::BitCast(d16, a), hn::BitCast(d16, b), sum,
                                         unused);
#else
    const auto low = [](V32 v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
    (void)d32;
    sum = hn::Add(sum, hn::Mul(low(a), low(b)));
    return hn::Add(sum, hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b)));
#endif
  }
};

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
// Highway 1.0.3 does not know AVX-512 VNNI. As text they need no compiler option of their own,
// which the functions that they are inlined into could not have.
struct NativePairs {
  template <class D32, class V32 = hn::Vec<D32>>
  static HWY_INLINE V32 dot(D32, V32 sum, V32 a, V32 b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};
// Four unsigned bytes of a by four signed ones of b.
struct NativeQuads {
  template <class D32, class V32 = hn::Vec<D32>>
  static HWY_INLINE V32 dot(D32, V32 sum, V32 a, V32 b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};
#endif

// sums[kRows, kVectors vectors] = bias + a * b.
template <class Dot, int kRows, int kVectors>
HWY_NOINLINE void sum_tile(int64_t groups, int64_t a_row, const char* a, const int32_t* b,
                           const int32_t* bias, int32_t* to, int64_t to_row) {
  const Sums d;
  SumsVec sums[kRows][kVectors];
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    const SumsVec first = bias ? hn::LoadU(d, bias + v * kSumLanes) : hn::Zero(d);
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) sums[r][v] = first;
  }
  for (int64_t group = 0; group < groups; ++group) {
    SumsVec right[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * kSumLanes);
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      int32_t terms;
      std::memcpy(&terms, a + r * a_row, sizeof(terms));
      const SumsVec left = hn::Set(d, terms);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Dot::dot(d, sums[r][v], left, right[v]);
    }
    a += sizeof(int32_t);
    b += kVectors * kSumLanes;
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[r][v], d, to + r * to_row + v * kSumLanes);
    }
  }
}

// Calls take(row, rows, sums) for all rows, some at a time: sums are [rows, kVectors vectors].
template <class Dot, int kVectors, class Take>
HWY_INLINE void sum_in_tiles(const LevelTile& s, const char* a, const int32_t* b,
                             const int32_t* bias, const Take& take) {
  constexpr int kRows = kLevelRowsOfVectors[kVectors - 1];
  constexpr int64_t kWidth = kVectors * kSumLanes;
  HWY_ALIGN int32_t sums[kRows * kWidth];
  for (int64_t row = 0; row < s.m;) {
    const char* const from = a + row * s.a_row;
    const int64_t rest = s.m - row;
    if (rest >= kRows || (s.padded && rest > 2)) {
      const int64_t rows = rest < kRows ? rest : kRows;
      sum_tile<Dot, kRows, kVectors>(s.groups, s.a_row, from, b, bias, sums, kWidth);
      take(row, rows, sums);
      row += rows;
    } else {
      sum_tile<Dot, 1, kVectors>(s.groups, s.a_row, from, b, bias, sums, kWidth);
      take(row, 1, sums);
      ++row;
    }
  }
}

// The columns from `column` on, as many as D16 has lanes, of rows of sums.
template <class D16, class T>
HWY_INLINE void finish_block(D16 d16, const LevelTile& s, const LevelFinish& f, int64_t column,
                             int64_t rows, const int32_t* sums, int64_t sums_row, T* y) {
  const hn::RepartitionToWide<D16> d32;
  const int64_t count = s.n - column, y_row = s.y_row;
  with_finish<T>(d16, f, column, [=](const auto& levels) HWY_ATTR {
    const int32_t* from = sums + column;
    T* to = y + column;
    for (int64_t r = 0; r < rows; ++r, to += y_row, from += sums_row) {
      const auto low = hn::LoadU(d32, from);
      const auto high = hn::LoadU(d32, from + static_cast<int64_t>(hn::Lanes(d32)));
      store_narrowed(d16, levels(low, high), to, count);
    }
  });
}

template <class Dot, class T, int kVectors = kMostLevelVectors>
void finish_product(const LevelTile& s, const LevelFinish& f, const void* a, const void* b,
                    const int32_t* bias, void* y) {
  if constexpr (kVectors > kVectorsApart) {
    if (s.n <= (kVectors - kVectorsApart) * kSumLanes) {
      return finish_product<Dot, T, kVectors - kVectorsApart>(s, f, a, b, bias, y);
    }
  }
  const auto finish = [&](int64_t row, int64_t rows, const int32_t* sums) HWY_ATTR {
    constexpr int64_t kWidth = kVectors * kSumLanes;
    T* const first = static_cast<T*>(y) + row * s.y_row;
    for (int64_t at = 0; at + 2 * kSumLanes <= kWidth; at += 2 * kSumLanes) {
      finish_block(hn::CappedTag<int16_t, 2 * kSumLanes>(), s, f, at, rows, sums, kWidth, first);
    }
    if constexpr (kVectors % 2 == 1) {
      finish_block(hn::CappedTag<int16_t, kSumLanes>(), s, f, kWidth - kSumLanes, rows, sums,
                   kWidth, first);
    }
  };
  sum_in_tiles<Dot, kVectors>(s, static_cast<const char*>(a), static_cast<const int32_t*>(b), bias,
                              finish);
}

template <class Dot, int kVectors = kMostLevelVectors>
void sum_product(const LevelTile& s, const void* a, const void* b, int32_t* y) {
  if constexpr (kVectors > kVectorsApart) {
    if (s.n <= (kVectors - kVectorsApart) * kSumLanes) {
      return sum_product<Dot, kVectors - kVectorsApart>(s, a, b, y);
    }
  }
  sum_in_tiles<Dot, kVectors>(s, static_cast<const char*>(a), static_cast<const int32_t*>(b),
                              nullptr, [&](int64_t row, int64_t rows, const int32_t* sums) {
                                constexpr int64_t kWidth = kVectors * kSumLanes;
                                for (int64_t r = 0; r < rows; ++r) {
                                  std::memcpy(y + (row + r) * s.sums_row, sums + r * kWidth,
                                              kWidth * sizeof(int32_t));
                                }
                              });
}

template <class Dot>
constexpr LevelProducts products_by() {
  return {&finish_product<Dot, int8_t>, &finish_product<Dot, uint8_t>,
          &finish_product<Dot, int16_t>, &sum_product<Dot>};
}

// --- depthwise ---

// A whole vector as 16 bits.
template <class D16, class T>
HWY_INLINE hn::Vec<D16> load_whole(D16 d16, const T* from) {
  const hn::Rebind<T, D16> d;
  if constexpr (sizeof(T) == 1) {
    return hn::PromoteTo(d16, hn::LoadU(d, from));
  } else {
    return hn::LoadU(d16, from);
  }
}

// The same, or of `count` values where kPart.
template <bool kPart, class D16, class T>
HWY_INLINE hn::Vec<D16> load_widened(D16 d16, const T* from, int64_t count) {
  if constexpr (kPart) {
    HWY_ALIGN T lanes[hn::MaxLanes(d16)] = {};
    std::memcpy(lanes, from, static_cast<size_t>(count) * sizeof(T));
    return load_whole(d16, lanes);
  } else {
    return load_whole(d16, from);
  }
}

// One block of channels.
template <class Dot, bool kPart, class D16, class T, class Levels>
HWY_INLINE void depthwise_cells(D16 d16, const LevelDepthwise& s, const void* const* taps,
                                int64_t channel, const int16_t* weights, const int32_t* bias,
                                const Levels& levels, T* y) {
  const hn::RepartitionToWide<D16> d32;
  constexpr int64_t kBlock = hn::MaxLanes(D16());
  for (int64_t cell = 0; cell < s.cells; ++cell) {
    const int64_t offset = cell * s.step + channel;
    auto low = hn::LoadU(d32, bias);
    auto high = hn::LoadU(d32, bias + kBlock / 2);
    const int16_t* w = weights;
    for (int64_t pair = 0; pair < s.pairs; ++pair, w += 2 * kBlock) {
      const auto tap = [&](int64_t t) HWY_ATTR {
        return load_widened<kPart>(d16, static_cast<const T*>(taps[t]) + offset, s.channels);
      };
      const auto a = tap(2 * pair), b = tap(2 * pair + 1);
      low = Dot::dot(d32, low, hn::BitCast(d32, hn::InterleaveLower(d16, a, b)),
                     hn::BitCast(d32, hn::LoadU(d16, w)));
      high = Dot::dot(d32, high, hn::BitCast(d32, hn::InterleaveUpper(d16, a, b)),
                      hn::BitCast(d32, hn::LoadU(d16, w + kBlock)));
    }
    store_narrowed(d16, levels(low, high), y + cell * s.channels, kPart ? s.channels : kBlock);
  }
}

template <class Dot, bool kPart, class D16, class T>
void depthwise_blocks(D16 d16, const LevelDepthwise& s, const LevelFinish& f,
                      const void* const* taps, const int16_t* weights, const int32_t* bias, T* y) {
  constexpr int64_t kBlock = hn::MaxLanes(D16());
  const int64_t blocks = kPart ? 1 : (s.channels + kBlock - 1) / kBlock;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t last = s.channels - kBlock;
    const int64_t channel = kPart ? 0 : block * kBlock < last ? block * kBlock : last;
    const int64_t at = block * kBlock;
    const int16_t* const w = weights + 2 * at * s.pairs;
    with_finish<T>(d16, f, at, [&](const auto& levels) HWY_ATTR {
      depthwise_cells<Dot, kPart>(d16, s, taps, channel, w, bias + at, levels, y + channel);
    });
  }
}

template <class Dot, class T, int kLanes = 2 * kSumLanes>
void depthwise(const LevelDepthwise& s, const LevelFinish& f, const void* const* taps,
               const int16_t* weights, const int32_t* bias, void* y) {
  if constexpr (kLanes > 8) {
    if (s.channels <= kLanes / 2) {
      return depthwise<Dot, T, kLanes / 2>(s, f, taps, weights, bias, y);
    }
  }
  const hn::CappedTag<int16_t, kLanes> d16;
  if (s.channels < kLanes) {
    depthwise_blocks<Dot, true>(d16, s, f, taps, weights, bias, static_cast<T*>(y));
  } else {
    depthwise_blocks<Dot, false>(d16, s, f, taps, weights, bias, static_cast<T*>(y));
  }
}

template <class Dot>
constexpr LevelLoops loops_by(const LevelProducts& quads, bool has_quads) {
  return {.lanes = kVectorsApart * kSumLanes,
          .block = 2 * kSumLanes,
          .panel = kMostLevelVectors * kSumLanes,
          .pairs = products_by<Dot>(),
          .quads = quads,
          .has_quads = has_quads,
          .depthwise_int8 = &depthwise<Dot, int8_t>,
          .depthwise_uint8 = &depthwise<Dot, uint8_t>,
          .depthwise_int16 = &depthwise<Dot, int16_t>};
}

const LevelLoops* level_table(bool native) {
  static constexpr LevelLoops kLoops = loops_by<Pairs>({}, false);
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  static constexpr LevelLoops kNative = loops_by<NativePairs>(products_by<NativeQuads>(), true);
  if (native) return &kNative;
#endif
  (void)native;
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const LevelLoops& level_loops() { return *TENON_BEST(level_table)(native_dots()); }
}  // namespace tenon::kernels
#endif
