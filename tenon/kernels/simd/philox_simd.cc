// philox_loops.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/philox_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/philox_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using WordTag = hn::ScalableTag<uint64_t>;  // a word a lane, in its low half
using WordVec = hn::Vec<WordTag>;

// Only the low halves are read, so that the high ones may hold anything.
HWY_INLINE WordVec multiply_words(WordVec a, WordVec b) {
  const hn::Repartition<uint32_t, WordTag> halves;
  return hn::MulEven(hn::BitCast(halves, a), hn::BitCast(halves, b));
}

int64_t blocks(uint64_t key, uint64_t low, uint64_t high, int64_t count, uint32_t* words) {
  const WordTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const WordVec multiplier0 = hn::Set(d, 0xD2511F53);
  const WordVec multiplier1 = hn::Set(d, 0xCD9E8D57);
  const WordVec low_half = hn::Set(d, 0xFFFFFFFF);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    WordVec b0 = hn::Add(hn::Set(d, low + static_cast<uint64_t>(i)), hn::Iota(d, 0));
    WordVec b1 = hn::ShiftRight<32>(b0);
    WordVec b2 = hn::Set(d, high);
    WordVec b3 = hn::Set(d, high >> 32);
    auto key0 = static_cast<uint32_t>(key);
    auto key1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const WordVec product0 = multiply_words(b0, multiplier0);
      const WordVec product1 = multiply_words(b2, multiplier1);
      b0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), b1), hn::Set(d, key0));
      b2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), b3), hn::Set(d, key1));
      b1 = product1;
      b3 = product0;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    const WordVec first = hn::Or(hn::And(b0, low_half), hn::ShiftLeft<32>(b1));
    const WordVec second = hn::Or(hn::And(b2, low_half), hn::ShiftLeft<32>(b3));
    HWY_ALIGN uint64_t pairs[2 * hn::MaxLanes(d)];
    hn::StoreInterleaved2(first, second, d, pairs);
    hwy::CopyBytes<2 * sizeof(uint64_t) * hn::MaxLanes(d)>(pairs, words + 4 * i);
  }
  return i;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
int64_t philox_blocks(uint64_t key, uint64_t low, uint64_t high, int64_t count, uint32_t* words) {
  return TENON_BEST(blocks)(key, low, high, count, words);
}
}  // namespace tenon::kernels
#endif
