#include "tenon/base/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "tenon/base/log.h"
#include "tenon/base/thread_pool.h"

namespace tenon {
namespace {

thread_local int current_team = 1;
thread_local int current_present = 1;
thread_local bool in_region = false;

// Ranges for each thread: threads that arrive late or are slower take fewer.
constexpr int64_t kRangesOfOne = 4;

// Marks the calling thread as within a region for the duration of one body.
struct InRegion {
  InRegion() { in_region = true; }
  ~InRegion() { in_region = false; }
};

// The first exception of a region's bodies. None may leave a worker, so it goes on in the caller.
class FirstException {
 public:
  template <class Body>
  void keep(Body&& body) {
#if defined(__cpp_exceptions)
    try {
      body();
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!first_) first_ = std::current_exception();
    }
#else
    body();
#endif
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

void split(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t, int64_t)> body) {
  if (count <= 0) return;
  const int64_t fine = (count - 1) / std::max<int64_t>(grain, 1) + 1;
  const int64_t ranges = std::min(fine, kRangesOfOne * current_team);
  const int threads = std::min(current_team, current_present);
  if (ranges <= 1 || threads <= 1) {
    const InRegion region;
    return body(0, 0, count);
  }
  FirstException thrown;
  ThreadPool::global().run(ranges, threads, [&](int worker, int64_t range) {
    const InRegion region;
    thrown.keep([&] { body(worker, count * range / ranges, count * (range + 1) / ranges); });
  });
  thrown.rethrow();
}

}  // namespace

int team_size() {
  TENON_CHECK(!in_region);
  return current_team;
}

void set_team_size(int threads, int present) {
  current_team = std::max(threads, 1);
  current_present = std::max(present, 1);
}

void parallel_workers(int64_t count, int64_t grain,
                      FunctionRef<void(int64_t, int64_t, int64_t)> body) {
  TENON_CHECK(!in_region);
  split(count, grain, body);
}

void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  if (in_region) {
    if (count > 0) body(0, count);
    return;
  }
  split(count, grain, [&](int64_t, int64_t begin, int64_t end) { body(begin, end); });
}

}  // namespace tenon
