// How much work a step is, and how many threads it pays for (docs/performance.md).
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// What the kernel of `p` takes on one thread, in ns, from its op and shapes alone: an estimate that
// is right within a few times for what costs most (products, convolutions, passes over memory).
int64_t estimated_work(const Prepare& p);

// Runs of at least so much work go wide and wait for each other; shorter ones run on one thread, as
// many side by side as there are threads.
inline constexpr int64_t kLongRun = 100'000;

// Threads for a step of so much work when `most` may be had. `far_bytes` of its inputs lie in the
// caches of several processors, because a team wrote them, so that one thread alone has to fetch
// them: after a step of many threads it is a smaller one that pays for as many.
int team_for(int64_t work_ns, int64_t far_bytes, int most);

// The team that the environment's TENON_TEAM wants for every step, for tests; 0: none.
int team_of_environment();

}  // namespace tenon
