// parallel_for: the one place where work is split over a lane's team of threads.
//
// The split depends on `count`, `grain` and the team size alone, so equal inputs give equal bits.
// Only lanes (tenon/base/lanes.h) call it with a team above one; a caller that is not a lane runs
// the whole range itself.
#pragma once

#include <cstdint>

#include "tenon/base/function_ref.h"

namespace tenon {

// Threads of the team that the calling thread leads: 1 unless it is a lane.
int team_size();

// Called by a lane once, on its own thread.
void set_team_size(int threads);

// Splits [0, count) into at most team_size() contiguous ranges of at least `grain` elements and
// runs `body(begin, end)` on each, in parallel. Returns when all are done. `body` must not call it
// again.
void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);

}  // namespace tenon
