#include "tenon/base/parallel.h"

#include <algorithm>

#include "tenon/base/log.h"

namespace tenon {
namespace {

thread_local int current_team = 1;
thread_local bool in_region = false;

// Marks the calling thread as within a region for the duration of one body.
struct InRegion {
  InRegion() : before(in_region) { in_region = true; }
  ~InRegion() { in_region = before; }
  const bool before;
};

}  // namespace

int team_size() {
  TENON_CHECK(!in_region);
  return current_team;
}

void set_team_size(int threads) { current_team = threads; }

void parallel_workers(int64_t count, int64_t grain,
                      FunctionRef<void(int64_t, int64_t, int64_t)> body) {
  if (count <= 0) return;
  const int64_t most = (count - 1) / std::max<int64_t>(grain, 1) + 1;
  const int64_t parts = std::clamp<int64_t>(most, 1, current_team);
  if (parts == 1) {
    const InRegion region;
    return body(0, 0, count);
  }
#ifdef TENON_OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(parts))
#endif
  for (int64_t part = 0; part < parts; ++part) {
    const InRegion region;
    body(part, count * part / parts, count * (part + 1) / parts);
  }
}

void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  parallel_workers(count, grain, [&](int64_t, int64_t begin, int64_t end) { body(begin, end); });
}

}  // namespace tenon
