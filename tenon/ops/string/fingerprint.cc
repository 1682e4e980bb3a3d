#include "tenon/ops/string/fingerprint.h"

#include <bit>
#include <cstring>
#include <utility>

namespace tenon {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as little-endian");

constexpr uint64_t kFarm0 = 0xc3a5c85c97cb3127;
constexpr uint64_t kFarm1 = 0xb492b66fbe98f273;
constexpr uint64_t kFarm2 = 0x9ae16a3b2f90404f;

uint64_t word64(const char* s) {
  uint64_t word;
  std::memcpy(&word, s, sizeof(word));
  return word;
}
uint64_t word32(const char* s) {
  uint32_t word;
  std::memcpy(&word, s, sizeof(word));
  return word;
}
uint64_t byte_at(const char* s, size_t i) { return static_cast<unsigned char>(s[i]); }
uint64_t rotate(uint64_t x, int by) { return std::rotr(x, by); }
uint64_t shift_mix(uint64_t x) { return x ^ (x >> 47); }

uint64_t hash_16(uint64_t u, uint64_t v, uint64_t mul) {
  const uint64_t a = shift_mix((u ^ v) * mul);
  return shift_mix((v ^ a) * mul) * mul;
}

uint64_t hash_0_to_16(const char* s, size_t length) {
  const uint64_t mul = kFarm2 + length * 2;
  if (length >= 8) {
    const uint64_t a = word64(s) + kFarm2;
    const uint64_t b = word64(s + length - 8);
    return hash_16(rotate(b, 37) * mul + a, (rotate(a, 25) + b) * mul, mul);
  }
  if (length >= 4) return hash_16(length + (word32(s) << 3), word32(s + length - 4), mul);
  if (length == 0) return kFarm2;
  const uint64_t y = byte_at(s, 0) + (byte_at(s, length >> 1) << 8);
  const uint64_t z = length + (byte_at(s, length - 1) << 2);
  return shift_mix(y * kFarm2 ^ z * kFarm0) * kFarm2;
}

uint64_t hash_17_to_32(const char* s, size_t length) {
  const uint64_t mul = kFarm2 + length * 2;
  const uint64_t a = word64(s) * kFarm1, b = word64(s + 8);
  const uint64_t c = word64(s + length - 8) * mul, d = word64(s + length - 16) * kFarm2;
  return hash_16(rotate(a + b, 43) + rotate(c, 30) + d, a + rotate(b + kFarm2, 18) + c, mul);
}

uint64_t hash_33_to_64(const char* s, size_t length) {
  const uint64_t mul = kFarm2 + length * 2;
  const uint64_t a = word64(s) * kFarm2, b = word64(s + 8);
  const uint64_t c = word64(s + length - 8) * mul, d = word64(s + length - 16) * kFarm2;
  const uint64_t y = rotate(a + b, 43) + rotate(c, 30) + d;
  const uint64_t z = hash_16(y, a + rotate(b + kFarm2, 18) + c, mul);
  const uint64_t e = word64(s + 16) * mul, f = word64(s + 24);
  const uint64_t g = (y + word64(s + length - 32)) * mul;
  const uint64_t h = (z + word64(s + length - 24)) * mul;
  return hash_16(rotate(e + f, 43) + rotate(g, 30) + h, e + rotate(f + a, 18) + g, mul);
}

struct Pair {
  uint64_t first = 0, second = 0;
};

Pair weak_hash_32(const char* s, uint64_t a, uint64_t b) {
  const uint64_t w = word64(s), x = word64(s + 8), y = word64(s + 16), z = word64(s + 24);
  a += w;
  b = rotate(b + a + z, 21);
  const uint64_t c = a;
  a += x + y;
  b += rotate(a, 44);
  return {a + z, b + c};
}

}  // namespace

uint64_t farm_fingerprint(std::string_view text) {
  const char* s = text.data();
  const size_t length = text.size();
  if (length <= 16) return hash_0_to_16(s, length);
  if (length <= 32) return hash_17_to_32(s, length);
  if (length <= 64) return hash_33_to_64(s, length);
  constexpr uint64_t kSeed = 81;
  uint64_t y = kSeed * kFarm1 + 113;
  uint64_t z = shift_mix(y * kFarm2 + 113) * kFarm2;
  uint64_t x = kSeed * kFarm2 + word64(s);
  Pair v, w;
  const auto round = [&](const char* at, uint64_t mul, uint64_t w_factor, uint64_t v_factor) {
    x = rotate(x + y + v.first + word64(at + 8), 37) * mul;
    y = rotate(y + v.second + word64(at + 48), 42) * mul;
    x ^= w.second * w_factor;
    y += v.first * v_factor + word64(at + 40);
    z = rotate(z + w.first, 33) * mul;
    v = weak_hash_32(at, v.second * mul, x + w.first);
    w = weak_hash_32(at + 32, z + w.second, y + word64(at + 16));
    std::swap(z, x);
  };
  const size_t tail = (length - 1) & 63;
  const char* end = s + (length - 1) / 64 * 64;
  for (; s != end; s += 64) round(s, kFarm1, 1, 1);
  const uint64_t mul = kFarm1 + ((z & 0xff) << 1);
  w.first += tail;
  v.first += w.first;
  w.first += v.first;
  round(end + tail - 63, mul, 9, 9);
  return hash_16(hash_16(v.first, w.first, mul) + shift_mix(y) * kFarm0 + z,
                 hash_16(v.second, w.second, mul) + x, mul);
}

uint64_t sip_hash(uint64_t key0, uint64_t key1, std::string_view text) {
  uint64_t v0 = key0 ^ 0x736f6d6570736575, v1 = key1 ^ 0x646f72616e646f6d;
  uint64_t v2 = key0 ^ 0x6c7967656e657261, v3 = key1 ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };
  const auto absorb = [&](uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  const size_t whole = text.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) absorb(word64(text.data() + i));
  uint64_t last = static_cast<uint64_t>(text.size()) << 56;
  for (size_t i = whole; i < text.size(); ++i) last |= byte_at(text.data(), i) << (8 * (i - whole));
  absorb(last);
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t murmur_hash(std::string_view text, uint64_t seed) {
  constexpr uint64_t kMul = 0xc6a4a7935bd1e995;
  uint64_t h = seed ^ (text.size() * kMul);
  const size_t whole = text.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) {
    const uint64_t k = word64(text.data() + i) * kMul;
    h = (h ^ shift_mix(k) * kMul) * kMul;
  }
  if (whole < text.size()) {
    for (size_t i = whole; i < text.size(); ++i) h ^= byte_at(text.data(), i) << (8 * (i - whole));
    h *= kMul;
  }
  return shift_mix(shift_mix(h) * kMul);
}

uint64_t combine_fingerprints(uint64_t first, uint64_t second) {
  constexpr uint64_t kMul = 0xc6a4a7935bd1e995;
  uint64_t result = first ^ kMul;
  result ^= shift_mix(second * kMul) * kMul;
  result *= kMul;
  return shift_mix(shift_mix(result) * kMul);
}

}  // namespace tenon
