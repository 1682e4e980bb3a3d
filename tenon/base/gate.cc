#include "tenon/base/gate.h"

#include <algorithm>

#include "tenon/base/wait_notice.h"

namespace tenon {
namespace {

// How often one that waits looks whether it is to give up.
constexpr std::chrono::milliseconds kPatience{5};

}  // namespace

struct Gate::Waiting {
  std::condition_variable changed;
  bool handed = false;
  Waiting* next = nullptr;
};

// Leaves the queue, under the lock. False: a permit is on its way to somebody here, so that one
// fewer may go.
bool Gate::abandon(Waiting& waiting) {
  int free = free_.load();
  do {
    if (free >= 0) return false;
  } while (!free_.compare_exchange_weak(free, free + 1));
  Waiting* before = nullptr;
  for (Waiting* at = first_; at != &waiting; at = at->next) before = at;
  (before ? before->next : first_) = waiting.next;
  if (last_ == &waiting) last_ = before;
  return true;
}

bool Gate::enter(Clock::time_point deadline, const std::atomic<bool>* cancelled) {
  if (free_.fetch_sub(1) > 0) return true;
  about_to_wait();
  Waiting waiting;
  std::unique_lock lock(mutex_);
  if (handed_ > 0) {
    --handed_;
    return true;
  }
  (last_ ? last_->next : first_) = &waiting;
  last_ = &waiting;
  while (!waiting.handed) {
    const Clock::time_point now = Clock::now();
    const bool late = now >= deadline;
    if ((late || (cancelled && *cancelled)) && abandon(waiting)) return false;
    Clock::time_point until = late ? Clock::time_point::max() : deadline;
    if (cancelled || late) until = std::min(until, now + kPatience);
    if (until == Clock::time_point::max()) {
      waiting.changed.wait(lock);
    } else {
      waiting.changed.wait_until(lock, until);
    }
  }
  return true;
}

void Gate::leave() {
  if (free_.fetch_add(1) >= 0) return;
  const std::lock_guard lock(mutex_);
  if (!first_) {
    ++handed_;
    return;
  }
  Waiting& waiting = *first_;
  first_ = waiting.next;
  if (!first_) last_ = nullptr;
  waiting.handed = true;
  waiting.changed.notify_one();  // under the lock: it may be gone once that is let go
}

}  // namespace tenon
