// What it costs a core to write lines that another has read (docs/kernels.md): Adam's update of a
// matrix that two threads have just read, by halves of its columns, stored in several ways. One
// JSON line each, medians in us.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "tenon/base/parallel.h"
#include "tenon/base/thread_pool.h"

namespace tenon {
namespace {

constexpr int64_t kRows = 784, kColumns = 128, kCount = kRows * kColumns;
constexpr int64_t kAhead = 32 * 16;  // elements
constexpr int kRuns = 3000;

enum class Stored { kAsUsual, kStreamed, kFlushedFirst, kByColumns };
constexpr const char* kNames[] = {"as usual", "streamed", "flushed first", "by columns"};

struct alignas(64) Memory {
  float g[kCount], w[kCount + kAhead], m[kCount], v[kCount];
};

[[gnu::target("avx512f,clflushopt")]] void adam(Memory& x, int64_t begin, int64_t end,
                                                Stored stored) {
  const __m512 c1 = _mm512_set1_ps(0.1f), c2 = _mm512_set1_ps(0.001f);
  const __m512 alpha = _mm512_set1_ps(1e-3f), epsilon = _mm512_set1_ps(1e-7f);
  for (int64_t i = begin; i < end; i += 16) {
    if (stored == Stored::kFlushedFirst) _mm_clflushopt(x.w + i + kAhead);
    const __m512 g = _mm512_load_ps(x.g + i);
    __m512 m = _mm512_load_ps(x.m + i), v = _mm512_load_ps(x.v + i);
    m = _mm512_fmadd_ps(_mm512_sub_ps(g, m), c1, m);
    v = _mm512_fmadd_ps(_mm512_fmsub_ps(g, g, v), c2, v);
    _mm512_store_ps(x.m + i, m);
    _mm512_store_ps(x.v + i, v);
    const __m512 divisor = _mm512_add_ps(_mm512_maskz_sqrt_ps(0xffff, v), epsilon);
    const __m512 step = _mm512_div_ps(_mm512_mul_ps(m, alpha), divisor);
    const __m512 w = _mm512_sub_ps(_mm512_load_ps(x.w + i), step);
    if (stored == Stored::kStreamed) {
      _mm512_stream_ps(x.w + i, w);
    } else {
      _mm512_store_ps(x.w + i, w);
    }
  }
  _mm_sfence();
}

// The half of the columns that thread `thread` reads in a forward product.
float read_columns(const Memory& x, int64_t thread) {
  float sum = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kColumns / 2; i += 16) {
      sum += x.w[row * kColumns + thread * kColumns / 2 + i];
    }
  }
  return sum;
}

void update(Memory& x, int64_t thread, Stored stored) {
  if (stored != Stored::kByColumns) {
    return adam(x, thread * kCount / 2, (thread + 1) * kCount / 2, stored);
  }
  for (int64_t row = 0; row < kRows; ++row) {
    const int64_t begin = row * kColumns + thread * kColumns / 2;
    adam(x, begin, begin + kColumns / 2, stored);
  }
}

template <class Body>
double microseconds(Body body) {
  const auto start = std::chrono::steady_clock::now();
  parallel_for(2, 1, [&](int64_t thread, int64_t) { body(thread); });
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + kRuns / 2, values.end());
  return values[kRuns / 2];
}

void measure(Memory& x, Stored stored) {
  std::vector<double> reads, updates;
  volatile float sink = 0;
  for (int run = 0; run < kRuns; ++run) {
    reads.push_back(microseconds([&](int64_t thread) { sink = read_columns(x, thread); }));
    updates.push_back(microseconds([&](int64_t thread) { update(x, thread, stored); }));
  }
  std::printf(
      "{\"figure\": \"Adam, weights stored %s, median us\", \"update\": %.1f, \"read\": %.1f}\n",
      kNames[static_cast<int>(stored)], median(updates), median(reads));
}

}  // namespace
}  // namespace tenon

int main() {
  static tenon::Memory memory;
  tenon::ThreadPool::configure(2);
  tenon::set_team_size(2);
  for (int i = 0; i < 4; ++i) tenon::measure(memory, static_cast<tenon::Stored>(i));
}
