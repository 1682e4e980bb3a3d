#include "tenon/base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tenon/base/futex.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

// How long an idle worker looks for an offer, and a leader for the end of ranges that others work
// on, before it sleeps (docs/performance.md has the figures).
constexpr std::chrono::microseconds kLookout{50};
// Sleepers that one thread wakes for a region; those that wake go on.
constexpr int kWokenByOne = 2;

std::atomic<int> wanted_threads{0};

int processors() {
  static const int count = [] {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }();
  return count;
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `done()` holds, at most kLookout. False: it does not hold yet.
template <class Done>
bool look_out(Done done) {
  constexpr int kLooks = 32;  // between two looks at the clock
  const Clock::time_point end = Clock::now() + kLookout;
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (done()) return true;
      relax();
    }
  } while (Clock::now() < end);
  return done();
}

}  // namespace

// On its leader's stack. Whoever holds an open offer of it may touch it.
struct ThreadPool::Region {
  // Of `open`: the leader sleeps until the last offer is closed.
  static constexpr uint32_t kLeaderSleeps = uint32_t{1} << 31;

  Region(FunctionRef<void(int, int64_t)> body, int64_t ranges, int most_helpers)
      : body(body), ranges(ranges), most_helpers(most_helpers) {}

  bool has_ranges() const { return next.load(std::memory_order_relaxed) < ranges; }
  bool closed() const { return (open.load(std::memory_order_acquire) & ~kLeaderSleeps) == 0; }
  void work(int number) {
    for (;;) {
      const int64_t range = next.fetch_add(1, std::memory_order_relaxed);
      if (range >= ranges) return;
      body(number, range);
    }
  }
  // The last access of a helper.
  void close() {
    if (open.fetch_sub(1, std::memory_order_acq_rel) == (kLeaderSleeps | 1)) futex_wake_one(&open);
  }

  const FunctionRef<void(int, int64_t)> body;
  const int64_t ranges;
  const int most_helpers;
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<int> offers{0};  // made and not taken back
  std::atomic<int> helpers{0};             // that have joined
  std::atomic<uint32_t> open{0};           // offers that are neither taken back nor worked off
};

struct alignas(64) ThreadPool::Worker {
  // What `state` holds beside an offer.
  static Region* awake() { return nullptr; }  // idle and looking
  static Region* asleep() { return reinterpret_cast<Region*>(uintptr_t{1}); }
  static Region* busy() { return reinterpret_cast<Region*>(uintptr_t{2}); }
  static Region* stop() { return reinterpret_cast<Region*>(uintptr_t{3}); }

  void wake() {
    wakes.fetch_add(1, std::memory_order_release);
    futex_wake_one(&wakes);
  }

  std::atomic<Region*> state{awake()};
  std::atomic<uint32_t> wakes{0};
  std::thread thread;
};

ThreadPool& ThreadPool::global() {
  static ThreadPool pool(std::min(configured_threads(), processors()) - 1);
  return pool;
}

void ThreadPool::configure(int threads) { wanted_threads = threads; }

int ThreadPool::configured_threads() {
  const int wanted = wanted_threads;
  return wanted > 0 ? wanted : processors();
}

ThreadPool::ThreadPool(int workers) {
  for (int i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>());
  for (const auto& worker : workers_) {
    worker->thread = std::thread([this, &worker = *worker] { work(worker); });
    pthread_setname_np(worker->thread.native_handle(), "tenon-compute");
  }
}

ThreadPool::~ThreadPool() {
  for (const auto& worker : workers_) {
    // Nobody makes offers any more: a worker that is busy is about to be done.
    for (Region* found = worker->state; found != Worker::stop();) {
      if (found == Worker::busy()) {
        std::this_thread::yield();
        found = worker->state;
      } else if (worker->state.compare_exchange_weak(found, Worker::stop())) {
        break;
      }
    }
    worker->wake();
  }
  for (const auto& worker : workers_) worker->thread.join();
}

void ThreadPool::work(Worker& self) {
  for (;;) {
    Region* found = self.state.load(std::memory_order_acquire);
    if (found == Worker::stop()) return;
    if (found == Worker::asleep()) {
      const uint32_t wakes = self.wakes.load(std::memory_order_acquire);
      if (self.state.load(std::memory_order_acquire) == found) futex_wait(self.wakes, wakes);
    } else if (found == Worker::awake()) {
      const bool offered =
          look_out([&] { return self.state.load(std::memory_order_acquire) != Worker::awake(); });
      if (!offered) self.state.compare_exchange_strong(found, Worker::asleep());
    } else if (self.state.compare_exchange_strong(found, Worker::busy())) {
      Region& region = *found;
      const int number = 1 + region.helpers.fetch_add(1, std::memory_order_relaxed);
      if (region.has_ranges()) recruit(region);
      region.work(number);
      // Before the leader may go on, so that its next region finds this worker idle.
      self.state.store(Worker::awake(), std::memory_order_release);
      region.close();
    }
  }
}

// Offers the region to `worker` if its state is `state`. Called by the leader or a helper, so that
// the region stays open meanwhile.
bool ThreadPool::offer(Region& region, Worker& worker, const Region* state) {
  Region* found = worker.state.load(std::memory_order_relaxed);
  if (found != state) return false;
  if (region.offers.fetch_add(1, std::memory_order_relaxed) < region.most_helpers) {
    region.open.fetch_add(1, std::memory_order_relaxed);
    if (worker.state.compare_exchange_strong(found, &region)) return true;
    region.open.fetch_sub(1, std::memory_order_relaxed);
  }
  region.offers.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

// Offers the region to all that look out for one, and wakes some of those that sleep.
void ThreadPool::recruit(Region& region) {
  const auto wanted = [&] {
    return region.offers.load(std::memory_order_relaxed) < region.most_helpers &&
           region.has_ranges();
  };
  for (const auto& worker : workers_) {
    if (!wanted()) return;
    offer(region, *worker, Worker::awake());
  }
  int woken = 0;
  for (const auto& worker : workers_) {
    if (woken == kWokenByOne || !wanted()) return;
    if (!offer(region, *worker, Worker::asleep())) continue;
    worker->wake();
    ++woken;
  }
}

void ThreadPool::take_back_offers(Region& region) {
  for (const auto& worker : workers_) {
    Region* found = worker->state.load(std::memory_order_relaxed);
    if (found == &region && worker->state.compare_exchange_strong(found, Worker::awake())) {
      region.open.fetch_sub(1, std::memory_order_relaxed);
    }
  }
}

// Takes back what nobody has answered and waits for those at work.
void ThreadPool::finish(Region& region) {
  const bool over = look_out([&] {
    if (region.closed()) return true;
    take_back_offers(region);  // again and again: a helper may have made one meanwhile
    return region.closed();
  });
  if (over) return;
  uint32_t open = region.open.fetch_or(Region::kLeaderSleeps) | Region::kLeaderSleeps;
  while (!region.closed()) {
    take_back_offers(region);
    open = region.open.load(std::memory_order_acquire);
    if ((open & ~Region::kLeaderSleeps) != 0) futex_wait(region.open, open);
  }
}

void ThreadPool::run(int64_t ranges, int threads, FunctionRef<void(int, int64_t)> body) {
  const auto most = std::min<int64_t>(ranges, threads) - 1;
  if (most <= 0 || workers_.empty()) {
    for (int64_t range = 0; range < ranges; ++range) body(0, range);
    return;
  }
  Region region(body, ranges, static_cast<int>(most));
  recruit(region);
  region.work(0);
  if (!region.closed()) finish(region);
}

}  // namespace tenon
