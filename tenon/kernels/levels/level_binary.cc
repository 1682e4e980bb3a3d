#include "tenon/kernels/levels/level_binary.h"

#include "tenon/kernels/simd/level_rows.h"

namespace tenon::kernels {

void run_level_binary(const LevelBinary& s, const BroadcastPlan& plan, const void* a, const void* b,
                      void* y) {
  const LevelBinaryLoop loop = level_binary_loop(s);
  const auto size = static_cast<int64_t>(size_of(s.dtype));
  // Dimensions of one are dropped, so innermost elements lie side by side or are one.
  for_each_run(plan, [&](const int64_t* offsets, const int64_t* steps, int64_t at, int64_t count) {
    const char* const left = static_cast<const char*>(a) + offsets[0] * size;
    const char* const right = static_cast<const char*>(b) + offsets[1] * size;
    char* const to = static_cast<char*>(y) + at * size;
    loop(s, left, steps[0], right, steps[1], count, to);
  });
}

}  // namespace tenon::kernels
