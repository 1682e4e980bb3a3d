// How much of a loop is worth a thread of its own.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tenon::kernels {

// Values that a light loop reads or writes in the time that a thread takes to join in.
constexpr int64_t kValuesOfThread = 16'384;

// The least number of items for a thread, each of which handles `values` values.
constexpr int64_t grain_of(int64_t values = 1) {
  return std::max<int64_t>(1, kValuesOfThread / std::max<int64_t>(1, values));
}

}  // namespace tenon::kernels
