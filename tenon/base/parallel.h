// parallel_for: the one place where work is split over a lane's team of threads.
//
// How a range is split may depend on the team, so the bits that a body computes must not depend on
// where its range begins and ends. Only lanes (tenon/base/lanes.h) lead a team above one; a caller
// that is not a lane runs the whole range itself.
#pragma once

#include <cstdint>

#include "tenon/base/function_ref.h"

namespace tenon {

// Threads of the team that the calling thread leads: 1 unless it is a lane. Called within a body of
// parallel_for or parallel_workers it ends the process: what the workers of a region share is laid
// out before the region, by whoever knows the team.
int team_size();

// Called by a lane once, on its own thread.
void set_team_size(int threads);

// Splits [0, count) into at most team_size() contiguous ranges of at least `grain` elements and
// runs `body(begin, end)` on each, in parallel. Returns when all are done. `body` must not call it
// again.
void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);

// As parallel_for, for bodies with memory of their own: `body(worker, begin, end)`, worker below
// team_size(). No two threads run under one worker's number at a time, but one worker may be given
// several ranges.
void parallel_workers(int64_t count, int64_t grain,
                      FunctionRef<void(int64_t, int64_t, int64_t)> body);

}  // namespace tenon
