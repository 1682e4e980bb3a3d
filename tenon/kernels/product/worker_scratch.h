// How the scratch memory of a kernel is laid out, and sums that are kept in parts. Private to this
// folder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tenon/base/parallel.h"

namespace tenon::kernels {

inline size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }
inline size_t float_bytes(int64_t values) {
  return whole_lines(static_cast<size_t>(values) * sizeof(float));
}
inline size_t pointer_bytes(int64_t count) {
  return whole_lines(static_cast<size_t>(count) * sizeof(const float*));
}

// What all workers share, then an area for each of them. Made under the team that runs.
class WorkerScratch {
 public:
  WorkerScratch(size_t shared, size_t of_one)
      : shared_(whole_lines(shared)), of_one_(whole_lines(of_one)), workers_(team_size()) {}
  size_t bytes() const { return shared_ + static_cast<size_t>(workers_) * of_one_; }
  void* of_worker(void* scratch, int64_t worker) const {
    return static_cast<char*>(scratch) + shared_ + static_cast<size_t>(worker) * of_one_;
  }

 private:
  size_t shared_, of_one_;
  int workers_;
};

// result[i] = sum of `parts` values that lie `count` apart, in their order, with the team.
inline void add_parts(const float* sums, int64_t parts, int64_t count, float* result) {
  constexpr int64_t kGrain = 32'768;
  parallel_for(count, kGrain / parts, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) result[i] = sums[i];
    for (int64_t part = 1; part < parts; ++part) {
      const float* const more = sums + part * count;
      for (int64_t i = begin; i < end; ++i) result[i] += more[i];
    }
  });
}

}  // namespace tenon::kernels
