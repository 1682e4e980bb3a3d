#include "tenon/base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "tenon/base/float_mode.h"
#include "tenon/base/futex.h"
#include "tenon/base/log.h"
#include "tenon/base/thread.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

// How long an idle worker looks for an offer, and a leader for the end of ranges that others work
// on, before it sleeps (docs/performance.md has the figures).
constexpr std::chrono::microseconds kLookout{50};
// Sleepers that one thread wakes for a region; those that wake go on.
constexpr int kWokenByOne = 2;

std::atomic<int> wanted_threads{0};

// Processors' worth of time that the container may use (cgroup v2), rounded up; `most` if there is
// no limit.
int within_quota(int most) {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re");
  if (!file) return most;
  double quota = 0, period = 0;
  const bool limited = std::fscanf(file, "%lf %lf", &quota, &period) == 2 && period > 0;
  std::fclose(file);
  return limited && quota < most * period ? static_cast<int>(std::ceil(quota / period)) : most;
}

// Asked for once: a run makes no system call for it.
int processors() {
  static const int count = [] {
    int usable = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) usable = CPU_COUNT(&set);
#endif
    return std::max(1, within_quota(usable));
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

  // What is taken at once: a range, or several where there are very many.
  static constexpr int64_t kMostPortions = 256;
  static constexpr int64_t kBits = 64;

  Region(FunctionRef<void(int, int64_t)> body, int64_t ranges, int most_helpers)
      : body(body),
        ranges(ranges),
        portions(std::min(ranges, kMostPortions)),
        most_helpers(most_helpers),
        open(static_cast<uint32_t>(most_helpers)) {}

  std::atomic<uint64_t>& word_of(int64_t portion) {
    return taken[static_cast<size_t>(portion / kBits)];
  }
  bool has_ranges() {
    for (int64_t first = 0; first < portions; first += kBits) {
      const uint64_t all = ~uint64_t{0} >> (kBits - std::min(portions - first, kBits));
      if (word_of(first).load(std::memory_order_relaxed) != all) return true;
    }
    return false;
  }
  bool closed() const { return (open.load(std::memory_order_acquire) & ~kLeaderSleeps) == 0; }
  // The number of one more helper; 0: there are to be no more.
  int another_helper() {
    const int before = helpers.fetch_add(1, std::memory_order_relaxed);
    return before < most_helpers ? before + 1 : 0;
  }
  // First a share of its own, so that the next region over the same values finds in a processor's
  // cache what this one left there; then what others have not come to.
  void work(int number) {
    const int64_t threads = most_helpers + 1;
    const int64_t begin = portions * number / threads, end = portions * (number + 1) / threads;
    for (int64_t portion = begin; portion < end; ++portion) work_on(portion, number);
    for (int64_t i = 0; has_ranges() && i < portions; ++i) {
      work_on((end + i) % portions, number);
    }
  }
  // Unless somebody has taken it.
  void work_on(int64_t portion, int number) {
    std::atomic<uint64_t>& word = word_of(portion);
    const uint64_t bit = uint64_t{1} << (portion % kBits);
    if ((word.load(std::memory_order_relaxed) & bit) != 0) return;
    if ((word.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return;
    const int64_t last = ranges * (portion + 1) / portions;
    for (int64_t range = ranges * portion / portions; range < last; ++range) body(number, range);
  }
  // The last access of a helper.
  void close() {
    if (open.fetch_sub(1, std::memory_order_acq_rel) == (kLeaderSleeps | 1)) futex_wake_one(&open);
  }
  // No helper's number is given from now on: those that were not count as closed.
  void stop_recruiting() {
    const int given = std::min(helpers.exchange(most_helpers), most_helpers);
    open.fetch_sub(static_cast<uint32_t>(most_helpers - given), std::memory_order_relaxed);
  }

  const FunctionRef<void(int, int64_t)> body;
  const uint64_t mode = float_mode();  // the leader's
  const int64_t ranges;
  const int64_t portions;
  const int most_helpers;
  std::atomic<int> helpers{0};  // numbers that were given, or more
  // A bit for each portion that somebody has taken. Nothing else counts them: a second number here
  // costs sixteen threads a microsecond a region.
  alignas(64) std::array<std::atomic<uint64_t>, kMostPortions / kBits> taken{};
  alignas(64) std::atomic<uint32_t> open;  // helpers that are not done or may yet come
};

struct alignas(64) ThreadPool::Worker {
  // What `state` holds: one of these, or an offer: a Region's address and above it, in the 16 bits
  // that addresses leave, the helper's number.
  static constexpr uint64_t kAwake = 0;  // idle and looking
  static constexpr uint64_t kAsleep = 1;
  static constexpr uint64_t kBusy = 2;
  static constexpr uint64_t kStop = 3;
  static constexpr int kAddressBits = 48;

  static uint64_t offer(const Region& region, int number) {
    return reinterpret_cast<uint64_t>(&region) | static_cast<uint64_t>(number) << kAddressBits;
  }
  static Region* region_of(uint64_t offer) {
    return reinterpret_cast<Region*>(offer & ((uint64_t{1} << kAddressBits) - 1));
  }
  static int number_of(uint64_t offer) { return static_cast<int>(offer >> kAddressBits); }

  void wake() {
    wakes.fetch_add(1, std::memory_order_release);
    futex_wake_one(&wakes);
  }

  std::atomic<uint64_t> state{kAwake};
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
  for (int i = 0; i < workers; ++i) {
    auto worker = std::make_unique<Worker>();
    StatusOr<std::thread> thread = start_thread([this, worker = worker.get()] { work(*worker); });
    if (!thread.ok()) {
      log_warning("computing with ", i + 1, " threads instead of ", workers + 1, ": ",
                  message_of(thread.status()));
      break;
    }
    worker->thread = *std::move(thread);
#if defined(__linux__)  // elsewhere a thread names itself alone
    pthread_setname_np(worker->thread.native_handle(), "tenon-compute");
#endif
    workers_.push_back(std::move(worker));
  }
}

ThreadPool::~ThreadPool() {
  for (const auto& worker : workers_) {
    // Nobody makes offers any more: a worker that is busy is about to be done.
    uint64_t found = worker->state;
    while (found == Worker::kBusy || !worker->state.compare_exchange_weak(found, Worker::kStop)) {
      std::this_thread::yield();
      found = worker->state;
    }
    worker->wake();
  }
  for (const auto& worker : workers_) worker->thread.join();
}

void ThreadPool::work(Worker& self) {
  for (;;) {
    uint64_t found = self.state.load(std::memory_order_acquire);
    if (found == Worker::kStop) return;
    if (found == Worker::kAsleep) {
      const uint32_t wakes = self.wakes.load(std::memory_order_acquire);
      if (self.state.load(std::memory_order_acquire) == found) futex_wait(self.wakes, wakes);
    } else if (found == Worker::kAwake) {
      const bool offered =
          look_out([&] { return self.state.load(std::memory_order_acquire) != Worker::kAwake; });
      if (!offered) self.state.compare_exchange_strong(found, Worker::kAsleep);
    } else if (self.state.compare_exchange_strong(found, Worker::kBusy)) {
      Region& region = *Worker::region_of(found);
      wake_for(region);
      set_float_mode(region.mode);
      region.work(Worker::number_of(found));
      // Before the leader may go on, so that its next region finds this worker idle.
      self.state.store(Worker::kAwake, std::memory_order_release);
      region.close();
    }
  }
}

// Offers the region to workers whose state is `state`, at most `most` of them. Called by the leader
// or a helper, so that the region stays open meanwhile.
int ThreadPool::recruit(Region& region, uint64_t state, int most) {
  int made = 0, number = 0;
  for (const auto& worker : workers_) {
    uint64_t found = worker->state.load(std::memory_order_relaxed);
    if (found != state) continue;
    if (number == 0) number = region.another_helper();
    if (number == 0) return made;
    if (!worker->state.compare_exchange_strong(found, Worker::offer(region, number))) continue;
    number = 0;
    if (state == Worker::kAsleep) worker->wake();
    if (++made == most) return made;
  }
  if (number != 0) region.close();  // nobody took it
  return made;
}

// Wakes some of those that sleep, if there is work for them.
void ThreadPool::wake_for(Region& region) {
  if (region.helpers.load(std::memory_order_relaxed) < region.most_helpers && region.has_ranges()) {
    recruit(region, Worker::kAsleep, kWokenByOne);
  }
}

void ThreadPool::take_back_offers(Region& region) {
  for (const auto& worker : workers_) {
    uint64_t found = worker->state.load(std::memory_order_relaxed);
    if (Worker::region_of(found) == &region &&
        worker->state.compare_exchange_strong(found, Worker::kAwake)) {
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
  const auto most = std::min<int64_t>({ranges, threads, static_cast<int64_t>(workers_.size()) + 1});
  if (most <= 1) {
    for (int64_t range = 0; range < ranges; ++range) body(0, range);
    return;
  }
  Region region(body, ranges, static_cast<int>(most) - 1);
  recruit(region, Worker::kAwake, region.most_helpers);
  wake_for(region);
  region.work(0);
  region.stop_recruiting();
  if (!region.closed()) finish(region);
}

}  // namespace tenon
