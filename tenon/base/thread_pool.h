// ThreadPool: the threads that help whoever leads a parallel region (tenon/base/parallel.h).
//
// A region is led by the calling thread. Workers that are idle are offered it and join as they
// arrive; each takes the ranges of its own share, the same one in every region of so many ranges,
// and then those that nobody has taken. What nobody takes the leader does itself, and it waits only
// for ranges that somebody is working on, so that a region never waits for a thread to arrive,
// several regions run side by side, and on a busy machine a region costs little more than its work.
// A worker that has nothing to do looks for an offer for a bounded time (kLookout) and then sleeps
// until it is offered one; nothing else wakes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "tenon/base/function_ref.h"

namespace tenon {

class ThreadPool {
 public:
  // The process' pool, made at first use: with the leader as many threads as configured_threads(),
  // but no more than there are processors, since more would only take turns.
  static ThreadPool& global();

  // Sets the number of threads that compute (`--threads`), before the first use of global(); 0: as
  // many as processors that this process may use when the number is first asked for, by affinity
  // and by its container's quota.
  static void configure(int threads);
  static int configured_threads();

  explicit ThreadPool(int workers);
  // No region may be running.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls `body(worker, range)` for each range of [0, ranges), on the calling thread (worker 0) and
  // at most `threads` - 1 others (workers 1, 2, ...), and returns when all are done. No two threads
  // have one worker's number. Thread-safe; allocates nothing; `body` must not throw.
  void run(int64_t ranges, int threads, FunctionRef<void(int, int64_t)> body);

 private:
  struct Region;
  struct Worker;
  void work(Worker& worker);
  int recruit(Region& region, uint64_t state, int most);
  void wake_for(Region& region);
  void take_back_offers(Region& region);
  void finish(Region& region);

  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace tenon
