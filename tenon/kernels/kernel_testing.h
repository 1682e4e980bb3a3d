// What the tests of this folder share. Included by *_test.cc files only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "tenon/base/parallel.h"

namespace tenon::kernels {

// Leads a team of `threads` until destroyed.
class ScopedTeam {
 public:
  explicit ScopedTeam(int threads) : before_(team_size()) { set_team_size(threads); }
  ~ScopedTeam() { set_team_size(before_); }
  ScopedTeam(const ScopedTeam&) = delete;
  ScopedTeam& operator=(const ScopedTeam&) = delete;

 private:
  int before_;
};

// Numbers in [low, high), the same for the same seed.
inline std::vector<float> random_floats(int64_t count, uint64_t seed, float low = -1.0f,
                                        float high = 1.0f) {
  std::vector<float> values(static_cast<size_t>(count));
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (float& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    value = low + (high - low) * static_cast<float>(state >> 40) * 0x1p-24f;
  }
  return values;
}

// 64-byte-aligned memory.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : storage_(bytes / 64 + 1) {}
  void* get() { return storage_.data(); }

 private:
  struct alignas(64) Line {
    char bytes[64];
  };
  std::vector<Line> storage_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Elements within `relative` of `want`, or within `absolute`.
template <class T, class U>
void expect_close(const std::vector<T>& got, const std::vector<U>& want, double relative,
                  double absolute) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const auto expected = static_cast<double>(want[i]);
    ASSERT_NEAR(static_cast<double>(got[i]), expected, absolute + relative * std::abs(expected))
        << "at " << i;
  }
}

}  // namespace tenon::kernels
