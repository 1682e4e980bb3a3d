#include "tenon/base/parallel.h"

#include <algorithm>

namespace tenon {
namespace {
thread_local int current_team = 1;
}  // namespace

int team_size() { return current_team; }
void set_team_size(int threads) { current_team = threads; }

void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  if (count <= 0) return;
  const int64_t most = (count + grain - 1) / std::max<int64_t>(grain, 1);
  const int64_t parts = std::clamp<int64_t>(most, 1, current_team);
  if (parts == 1) return body(0, count);
#ifdef TENON_OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(parts))
#endif
  for (int64_t part = 0; part < parts; ++part) {
    body(count * part / parts, count * (part + 1) / parts);
  }
}

}  // namespace tenon
