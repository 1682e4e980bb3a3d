#include "tenon/kernels/philox.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "tenon/base/parallel.h"
#include "tenon/core/float16.h"
#include "tenon/kernels/simd/philox_loops.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kRandomGrain = 4096;
constexpr int64_t kBlockWords = 4;
constexpr int64_t kBlocksAtOnce = 64;  // blocks made at once
// What TensorFlow sets aside for one result: blocks of a stream between calls, words within one.
constexpr uint64_t kReservedSamples = 256;

uint32_t low_word(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t high_word(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

// [0, 1) from the low bits of a word, put into the mantissa of a number in [1, 2)
// (tensorflow/core/lib/random/random_distributions.h).
float to_unit_float(uint32_t word) {
  return std::bit_cast<float>((word & 0x7fffffu) | (127u << 23)) - 1.0f;
}
double to_unit_double(uint32_t high, uint32_t low) {
  const uint64_t mantissa = (uint64_t{high & 0xfffffu} << 32) | low;
  return std::bit_cast<double>(mantissa | (uint64_t{1023} << 52)) - 1.0;
}

// Box-Muller as TensorFlow's: the sine first.
void normal_pair(uint32_t x0, uint32_t x1, float* out) {
  const float u1 = std::max(to_unit_float(x0), 1.0e-7f);
  const auto angle =
      static_cast<float>(2.0 * std::numbers::pi * static_cast<double>(to_unit_float(x1)));
  const float radius = std::sqrt(-2.0f * std::log(u1));
  out[0] = std::sin(angle) * radius;
  out[1] = std::cos(angle) * radius;
}
void normal_pair(uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3, double* out) {
  const double u1 = std::max(to_unit_double(x0, x1), 1.0e-7);
  const double angle = 2.0 * std::numbers::pi * to_unit_double(x2, x3);
  const double radius = std::sqrt(-2.0 * std::log(u1));
  out[0] = std::sin(angle) * radius;
  out[1] = std::cos(angle) * radius;
}

// Results made of one block: four, or two of 64 bits.
template <class T>
constexpr int64_t kPerBlock = sizeof(T) == 8 ? 2 : 4;

// make(block, results) turns each block into kPerBlock<T> results.
template <class T, class Make>
void fill_by_blocks(Philox generator, int64_t count, T* y, Make make) {
  constexpr int64_t per = kPerBlock<T>;
  parallel_for((count + per - 1) / per, kRandomGrain / per, [&](int64_t begin, int64_t end) {
    Philox own = generator;
    own.skip(static_cast<uint64_t>(begin));
    Philox::Block blocks[kBlocksAtOnce];
    for (int64_t tile = begin; tile < end; tile += kBlocksAtOnce) {
      const int64_t filled = std::min(kBlocksAtOnce, end - tile);
      own.next(filled, blocks);
      for (int64_t i = 0; i < filled; ++i) {
        const int64_t at = (tile + i) * per;
        T results[kBlockWords];
        make(blocks[i], results);
        std::copy_n(results, std::min(per, count - at), y + at);
      }
    }
  });
}

// Words of a generator, one at a time.
class Words {
 public:
  explicit Words(Philox generator) : generator_(generator) {}
  uint32_t next() {
    if (used_ == kBlockWords) {
      block_ = generator_.next();
      used_ = 0;
    }
    return block_[static_cast<size_t>(used_++)];
  }

 private:
  Philox generator_;
  Philox::Block block_{};
  int64_t used_ = kBlockWords;
};

}  // namespace

Philox Philox::from_seeds(uint64_t seed, uint64_t seed2) {
  return Philox({low_word(seed), high_word(seed)}, {0, 0, low_word(seed2), high_word(seed2)});
}

// Scrambled by one block, so that any part of the seed may be the strong one.
Philox Philox::from_stateless_seed(uint64_t seed0, uint64_t seed1) {
  Philox mixer({0x3ec8f720, 0x02461e29},
               {low_word(seed0), high_word(seed0), low_word(seed1), high_word(seed1)});
  const Block mix = mixer.next();
  return Philox({mix[0], mix[1]}, {0, 0, mix[2], mix[3]});
}

Philox Philox::from_key_counter(uint64_t key, uint64_t counter0, uint64_t counter1) {
  return Philox({low_word(key), high_word(key)},
                {low_word(counter0), high_word(counter0), low_word(counter1), high_word(counter1)});
}

Philox::Block Philox::next() {
  Block block = counter_;
  Key key = key_;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * block[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * block[2];
    block = {high_word(product1) ^ block[1] ^ key[0], low_word(product1),
             high_word(product0) ^ block[3] ^ key[1], low_word(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  skip(1);
  return block;
}

void Philox::next(int64_t count, Block* blocks) {
  const std::array<uint64_t, 2> at = counter();
  const bool carries = at[0] + static_cast<uint64_t>(count) < at[0];
  const int64_t done = carries ? 0 : philox_blocks(key(), at[0], at[1], count, blocks->data());
  skip(static_cast<uint64_t>(done));
  for (int64_t i = done; i < count; ++i) blocks[i] = next();
}

void Philox::skip(uint64_t blocks) { skip(blocks, 0); }

void Philox::skip(uint64_t low, uint64_t high) {
  const std::array<uint64_t, 2> before = counter();
  const uint64_t sum = before[0] + low;
  const uint64_t top = before[1] + high + (sum < low ? 1 : 0);
  counter_ = {low_word(sum), high_word(sum), low_word(top), high_word(top)};
}

uint64_t reserved_blocks(uint64_t count) { return count * kReservedSamples; }

template <class T>
void fill_uniform(Philox generator, int64_t count, T* y) {
  fill_by_blocks(generator, count, y, [](const Philox::Block& block, T* results) {
    if constexpr (std::is_same_v<T, double>) {
      results[0] = to_unit_double(block[0], block[1]);
      results[1] = to_unit_double(block[2], block[3]);
    } else {
      for (size_t i = 0; i < 4; ++i) {
        if constexpr (std::is_same_v<T, float>) {
          results[i] = to_unit_float(block[i]);
        } else if constexpr (std::is_same_v<T, float16>) {
          const auto bits = static_cast<uint16_t>((block[i] & 0x3ffu) | (15u << 10));
          results[i] = float16(static_cast<float>(float16::from_bits(bits)) - 1.0f);
        } else {
          const auto bits = static_cast<uint16_t>((block[i] & 0x7fu) | (127u << 7));
          results[i] = bfloat16(static_cast<float>(bfloat16::from_bits(bits)) - 1.0f);
        }
      }
    }
  });
}

template <class T>
void fill_normal(Philox generator, int64_t count, T* y) {
  fill_by_blocks(generator, count, y, [](const Philox::Block& block, T* results) {
    if constexpr (std::is_same_v<T, double>) {
      normal_pair(block[0], block[1], block[2], block[3], results);
    } else {
      float pair[2];
      for (size_t i = 0; i < 4; i += 2) {
        normal_pair(block[i], block[i + 1], pair);
        results[i] = static_cast<T>(pair[0]);
        results[i + 1] = static_cast<T>(pair[1]);
      }
    }
  });
}

// A group of results takes words until enough are within the bound; each group starts at a place
// of its own in the sequence.
template <class T>
void fill_truncated_normal(Philox generator, int64_t count, T* y) {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  constexpr int64_t per = kPerBlock<T>;
  constexpr uint64_t stride =
      static_cast<uint64_t>(per) * kReservedSamples / static_cast<uint64_t>(kBlockWords);
  parallel_for((count + per - 1) / per, kRandomGrain / per, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      Philox own = generator;
      own.skip(static_cast<uint64_t>(group) * stride);
      Words words(own);
      const int64_t wanted = std::min(per, count - group * per);
      int64_t made = 0;
      while (made < wanted) {
        Wide pair[2];
        if constexpr (std::is_same_v<T, double>) {
          const uint32_t x0 = words.next(), x1 = words.next(), x2 = words.next(), x3 = words.next();
          normal_pair(x0, x1, x2, x3, pair);
        } else {
          const uint32_t x0 = words.next(), x1 = words.next();
          normal_pair(x0, x1, pair);
        }
        for (Wide value : pair) {
          if (std::abs(value) < Wide{2} && made < wanted) {
            y[group * per + made++] = static_cast<T>(value);
          }
        }
      }
    }
  });
}

namespace {

// The word, or two words with the low one first, as a number of T's width.
template <class T>
void unsigned_results(const Philox::Block& block, std::make_unsigned_t<T>* results) {
  if constexpr (sizeof(T) == 8) {
    results[0] = block[0] | (uint64_t{block[1]} << 32);
    results[1] = block[2] | (uint64_t{block[3]} << 32);
  } else {
    std::copy(block.begin(), block.end(), results);
  }
}

}  // namespace

template <class T>
void fill_uniform_int(Philox generator, int64_t count, T low, T high, T* y) {
  using U = std::make_unsigned_t<T>;
  const U range = static_cast<U>(high) - static_cast<U>(low);
  fill_by_blocks(generator, count, y, [=](const Philox::Block& block, T* results) {
    U raw[kBlockWords];
    unsigned_results<T>(block, raw);
    for (int64_t i = 0; i < kPerBlock<T>; ++i) {
      results[i] = static_cast<T>(static_cast<U>(low) + raw[i] % range);
    }
  });
}

template <class T>
void fill_uniform_full_int(Philox generator, int64_t count, T* y) {
  fill_by_blocks(generator, count, y, [](const Philox::Block& block, T* results) {
    std::make_unsigned_t<T> raw[kBlockWords];
    unsigned_results<T>(block, raw);
    for (int64_t i = 0; i < kPerBlock<T>; ++i) results[i] = static_cast<T>(raw[i]);
  });
}

#define TENON_INSTANTIATE(T)                       \
  template void fill_uniform(Philox, int64_t, T*); \
  template void fill_normal(Philox, int64_t, T*);  \
  template void fill_truncated_normal(Philox, int64_t, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
#undef TENON_INSTANTIATE
#define TENON_INSTANTIATE(T)                                 \
  template void fill_uniform_int(Philox, int64_t, T, T, T*); \
  template void fill_uniform_full_int(Philox, int64_t, T*);
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
TENON_INSTANTIATE(uint32_t)
TENON_INSTANTIATE(uint64_t)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
