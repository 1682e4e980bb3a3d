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
#if HWY_ARCH_ARM
    if constexpr (hn::MaxLanes(D32()) == 4) {
      const int16x8_t x = vreinterpretq_s16_s32(a.raw), y = vreinterpretq_s16_s32(b.raw);
      const int32x4_t first = vmull_s16(vget_low_s16(x), vget_low_s16(y));
      const int32x4_t last = vmull_s16(vget_high_s16(x), vget_high_s16(y));
      return V32(
          vaddq_s32(sum.raw, vcombine_s32(vpadd_s32(vget_low_s32(first), vget_high_s32(first)),
                                          vpadd_s32(vget_low_s32(last), vget_high_s32(last)))));
    }
#endif
    const auto low = [](V32 v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
    (void)d32;
    sum = hn::Add(sum, hn::Mul(low(a), low(b)));
    return hn::Add(sum, hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b)));
#endif
  }
};

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
#define TENON_NATIVE_DOTS 1
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
#elif HWY_ARCH_ARM_A64
#define TENON_NATIVE_DOTS 1
using NativePairs = Pairs;
// The instruction multiplies signed bytes: a less 128 by b, and 128 times b's sum, which depends on
// b alone. Text without effects, so that the compiler makes it once for all rows.
struct NativeQuads {
  template <class V32>
  static HWY_INLINE V32 signed_dot(V32 sum, V32 a, V32 b) {
    __asm__(".arch armv8.2-a+dotprod\n\tsdot %0.4s, %1.16b, %2.16b"
            : "+w"(sum.raw)
            : "w"(a.raw), "w"(b.raw));
    return sum;
  }
  template <class D32, class V32 = hn::Vec<D32>>
  static HWY_INLINE V32 dot(D32 d32, V32 sum, V32 a, V32 b) {
    const V32 half = hn::Set(d32, 0x40404040);
    const V32 offset = signed_dot(signed_dot(hn::Zero(d32), half, b), half, b);
    const V32 less = hn::Xor(a, hn::Set(d32, static_cast<int32_t>(0x80808080)));
    return hn::Add(signed_dot(sum, less, b), offset);
  }
};
#else
#define TENON_NATIVE_DOTS 0
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
  const BlockFinish<D16> finish(f, column);
  with_way<T>(f, [&](auto way) HWY_ATTR {
    const int32_t* from = sums + column;
    T* to = y + column;
    for (int64_t r = 0; r < rows; ++r, to += y_row, from += sums_row) {
      const auto low = hn::LoadU(d32, from);
      const auto high = hn::LoadU(d32, from + static_cast<int64_t>(hn::Lanes(d32)));
      store_narrowed(d16, finish.template levels<decltype(way)::value>(low, high), to, count);
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

// A vector, or its first `count` values where kPart.
template <bool kPart, class D, class T>
HWY_INLINE hn::Vec<D> load_channels(D d, const T* from, int64_t count) {
  if constexpr (kPart) {
    HWY_ALIGN T lanes[hn::MaxLanes(d)] = {};
    std::memcpy(lanes, from, static_cast<size_t>(count) * sizeof(T));
    return hn::Load(d, lanes);
  } else {
    return hn::LoadU(d, from);
  }
}

template <class D16, class V>
HWY_INLINE hn::Vec<D16> widened(D16 d16, V levels) {
  if constexpr (sizeof(hn::TFromV<V>) == 1) {
    return hn::PromoteTo(d16, levels);
  } else {
    return levels;
  }
}

// One block of channels, by pairs of taps.
template <class T, class Dot, int kBlock>
struct DepthwisePairs {
  static constexpr hn::CappedTag<int16_t, kBlock> d16{};

  template <bool kPart>
  static HWY_INLINE void run(const LevelDepthwise& s, const LevelFinish& f, const void* const* taps,
                             int64_t channel, const char* weights, const int32_t* bias,
                             int64_t column, T* y) {
    const hn::RepartitionToWide<decltype(d16)> d32;
    const hn::Rebind<T, decltype(d16)> d;
    const BlockFinish<decltype(d16)> finish(f, column);
    with_way<T>(f, [&](auto way) HWY_ATTR {
      for (int64_t cell = 0; cell < s.cells; ++cell) {
        const int64_t offset = cell * s.step + channel;
        auto low = hn::LoadU(d32, bias + column);
        auto high = hn::LoadU(d32, bias + column + kBlock / 2);
        const auto* w = reinterpret_cast<const int16_t*>(weights);
        for (int64_t group = 0; group < s.groups; ++group, w += 2 * kBlock) {
          const auto tap = [&](int64_t t) HWY_ATTR {
            const T* const from = static_cast<const T*>(taps[2 * group + t]) + offset;
            return widened(d16, load_channels<kPart>(d, from, s.channels));
          };
          const auto a = tap(0), b = tap(1);
          low = Dot::dot(d32, low, hn::BitCast(d32, hn::InterleaveLower(d16, a, b)),
                         hn::BitCast(d32, hn::LoadU(d16, w)));
          high = Dot::dot(d32, high, hn::BitCast(d32, hn::InterleaveUpper(d16, a, b)),
                          hn::BitCast(d32, hn::LoadU(d16, w + kBlock)));
        }
        store_narrowed(d16, finish.template levels<decltype(way)::value>(low, high),
                       y + cell * s.channels + channel, kPart ? s.channels : kBlock);
      }
    });
  }
};

#if TENON_NATIVE_DOTS
// Highway 1.0.3 narrows no two vectors of 16 bits.
#if HWY_ARCH_ARM
HWY_INLINE uint8x16_t narrowed(int16x8_t a, int16x8_t b, int8_t) {
  return vreinterpretq_u8_s8(vcombine_s8(vqmovn_s16(a), vqmovn_s16(b)));
}
HWY_INLINE uint8x16_t narrowed(int16x8_t a, int16x8_t b, uint8_t) {
  return vcombine_u8(vqmovun_s16(a), vqmovun_s16(b));
}
#else
HWY_INLINE __m512i narrowed(__m512i a, __m512i b, int8_t) { return _mm512_packs_epi16(a, b); }
HWY_INLINE __m256i narrowed(__m256i a, __m256i b, int8_t) { return _mm256_packs_epi16(a, b); }
HWY_INLINE __m128i narrowed(__m128i a, __m128i b, int8_t) { return _mm_packs_epi16(a, b); }
HWY_INLINE __m512i narrowed(__m512i a, __m512i b, uint8_t) { return _mm512_packus_epi16(a, b); }
HWY_INLINE __m256i narrowed(__m256i a, __m256i b, uint8_t) { return _mm256_packus_epi16(a, b); }
HWY_INLINE __m128i narrowed(__m128i a, __m128i b, uint8_t) { return _mm_packus_epi16(a, b); }
#endif

// One block of channels, by quads of taps.
template <class T, class Dot, int kBlock>
struct DepthwiseQuads {
  static constexpr hn::CappedTag<uint8_t, kBlock> d8{};
  using D16 = hn::CappedTag<int16_t, kBlock / 2>;
  using D32 = hn::CappedTag<int32_t, kBlock / 4>;
  using V8 = hn::Vec<hn::CappedTag<uint8_t, kBlock>>;

  // Channel by channel, the levels of four taps.
  struct Terms {
    HWY_INLINE Terms(V8 a, V8 b, V8 c, V8 e) {
      const D16 d16;
      const auto low_ab = hn::BitCast(d16, hn::InterleaveLower(d8, a, b));
      const auto high_ab = hn::BitCast(d16, hn::InterleaveUpper(d8, a, b));
      const auto low_ce = hn::BitCast(d16, hn::InterleaveLower(d8, c, e));
      const auto high_ce = hn::BitCast(d16, hn::InterleaveUpper(d8, c, e));
      quarters[0] = hn::BitCast(D32(), hn::InterleaveLower(d16, low_ab, low_ce));
      quarters[1] = hn::BitCast(D32(), hn::InterleaveUpper(d16, low_ab, low_ce));
      quarters[2] = hn::BitCast(D32(), hn::InterleaveLower(d16, high_ab, high_ce));
      quarters[3] = hn::BitCast(D32(), hn::InterleaveUpper(d16, high_ab, high_ce));
    }
    hn::Vec<D32> quarters[4];
  };

  template <bool kPart>
  static HWY_INLINE void run(const LevelDepthwise& s, const LevelFinish& f, const void* const* taps,
                             int64_t channel, const char* weights, const int32_t* bias,
                             int64_t column, T* y) {
    constexpr int64_t kQuarter = kBlock / 4;
    const D32 d32;
    const auto turned = hn::Set(d8, std::is_signed_v<T> ? uint8_t{0x80} : uint8_t{0});
    const BlockFinish<D16> first(f, column), second(f, column + 2 * kQuarter);
    with_way<T>(f, [&](auto way) HWY_ATTR {
      for (int64_t cell = 0; cell < s.cells; ++cell) {
        const int64_t offset = cell * s.step + channel;
        hn::Vec<D32> sums[4];
        HWY_UNROLL(4)
        for (int v = 0; v < 4; ++v) sums[v] = hn::LoadU(d32, bias + column + v * kQuarter);
        const auto* w = reinterpret_cast<const int32_t*>(weights);
        for (int64_t group = 0; group < s.groups; ++group, w += kBlock) {
          const auto tap = [&](int64_t t) HWY_ATTR {
            const auto* const from = static_cast<const uint8_t*>(taps[4 * group + t]) + offset;
            return hn::Xor(load_channels<kPart>(d8, from, s.channels), turned);
          };
          const Terms terms(tap(0), tap(1), tap(2), tap(3));
          HWY_UNROLL(4)
          for (int v = 0; v < 4; ++v) {
            sums[v] = Dot::dot(d32, sums[v], terms.quarters[v], hn::LoadU(d32, w + v * kQuarter));
          }
        }
        const V8 levels{narrowed(first.template levels<decltype(way)::value>(sums[0], sums[1]).raw,
                                 second.template levels<decltype(way)::value>(sums[2], sums[3]).raw,
                                 T{})};
        store_first_bytes<kPart>(levels, y + cell * s.channels + channel, s.channels);
      }
    });
  }

  template <bool kPart>
  static HWY_INLINE void store_first_bytes(V8 levels, T* to, int64_t count) {
    if constexpr (kPart) {
      HWY_ALIGN uint8_t lanes[kBlock];
      hn::Store(levels, d8, lanes);
      std::memcpy(to, lanes, static_cast<size_t>(count));
    } else {
      hn::StoreU(levels, d8, reinterpret_cast<uint8_t*>(to));
    }
  }
};
#endif

// All blocks of channels; kBlock: the widest.
template <template <class, class, int> class Block, class T, class Dot, int kBlock, int kNarrowest>
void depthwise(const LevelDepthwise& s, const LevelFinish& f, const void* const* taps,
               const void* weights, const int32_t* bias, void* y) {
  if constexpr (kBlock > kNarrowest) {
    if (s.channels <= kBlock / 2) {
      return depthwise<Block, T, Dot, kBlock / 2, kNarrowest>(s, f, taps, weights, bias, y);
    }
  }
  using Loop = Block<T, Dot, kBlock>;
  const auto* const w = static_cast<const char*>(weights);
  if (s.channels < kBlock) {
    return Loop::template run<true>(s, f, taps, 0, w, bias, 0, static_cast<T*>(y));
  }
  // Each group has four bytes of a channel.
  for (int64_t at = 0; at < s.channels; at += kBlock) {
    const int64_t last = s.channels - kBlock;
    Loop::template run<false>(s, f, taps, at < last ? at : last, w + 4 * at * s.groups, bias, at,
                              static_cast<T*>(y));
  }
}

template <template <class, class, int> class Block, class Dot, int kBlock, int kNarrowest>
constexpr LevelDepthwiseLoops depthwise_by(int64_t taps, LevelDepthwiseLoop of_int16) {
  return {.taps = taps,
          .narrowest = kNarrowest,
          .widest = kBlock,
          .of_int8 = &depthwise<Block, int8_t, Dot, kBlock, kNarrowest>,
          .of_uint8 = &depthwise<Block, uint8_t, Dot, kBlock, kNarrowest>,
          .of_int16 = of_int16};
}

template <class Dot>
constexpr LevelLoops loops_by() {
  constexpr int kBlock = 2 * kSumLanes;
  LevelLoops loops;
  loops.lanes = kVectorsApart * kSumLanes;
  loops.block = kBlock;
  loops.panel = kMostLevelVectors * kSumLanes;
  loops.pairs = products_by<Dot>();
  loops.depthwise = depthwise_by<DepthwisePairs, Dot, kBlock, 8>(
      2, &depthwise<DepthwisePairs, int16_t, Dot, kBlock, 8>);
  return loops;
}

#if TENON_NATIVE_DOTS
constexpr LevelLoops native_loops() {
  LevelLoops loops = loops_by<NativePairs>();
  loops.has_quads = true;
  loops.quads = products_by<NativeQuads>();
  loops.depthwise_quads = depthwise_by<DepthwiseQuads, NativeQuads, 4 * kSumLanes, 16>(4, nullptr);
  return loops;
}
#endif

const LevelLoops* level_table(bool native) {
  static constexpr LevelLoops kLoops = loops_by<Pairs>();
#if TENON_NATIVE_DOTS
  static constexpr LevelLoops kNative = native_loops();
  if (native) return &kNative;
#endif
#undef TENON_NATIVE_DOTS
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
