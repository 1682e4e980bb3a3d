// parallel_for: the one place where work is split over threads (tenon/base/thread_pool.h).
//
// How a range is split may depend on the team, so the bits that a body computes must not depend on
// where its range begins and ends, nor on how many ranges there are.
#pragma once

#include <cstdint>

#include "tenon/base/function_ref.h"

namespace tenon {

// Threads of the team that the calling thread leads: 1 unless it was told otherwise. Called within
// a body of parallel_for or parallel_workers it ends the process: what the workers of a region
// share is laid out before the region, by whoever knows the team.
int team_size();

// What the calling thread leads from now on: ranges and workers' numbers are made for a team of
// `threads`, of which at most `present` (at least 1; the leader counts) take part.
void set_team_size(int threads, int present);
inline void set_team_size(int threads) { set_team_size(threads, threads); }

// Splits [0, count) into contiguous ranges of at least `grain` elements and runs
// `body(begin, end)` on each, in parallel. Returns when all are done. Called by a body of either
// function, it runs the whole range on the calling thread. What a body throws (std::bad_alloc) the
// caller gets, once all are done.
void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);

// As parallel_for, for bodies with memory of their own: `body(worker, begin, end)`, worker below
// team_size(). No two threads run under one worker's number at a time, but one worker may be given
// several ranges. Called by a body, it ends the process.
void parallel_workers(int64_t count, int64_t grain,
                      FunctionRef<void(int64_t, int64_t, int64_t)> body);

}  // namespace tenon
