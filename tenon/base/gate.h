// Gate: lets a bounded number through at a time, first come, first served.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace tenon {

// Thread-safe. Who has to wait says so first (wait_notice.h). While there are free permits,
// entering and leaving is one atomic operation each; whoever waits sleeps on a condition of its own
// and is handed the permit of one that leaves.
class Gate {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Gate(int permits) : permits_(permits), free_(permits) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Waits for a permit, until `deadline` or soon after `cancelled` (may be null) has become true.
  // False: it has none.
  bool enter(Clock::time_point deadline, const std::atomic<bool>* cancelled);
  void leave();

  int permits() const { return permits_; }
  // Holders of a permit, just now.
  int inside() const {
    const int free = free_.load(std::memory_order_relaxed);
    return free > 0 ? permits_ - free : permits_;
  }

 private:
  struct Waiting;
  bool abandon(Waiting& waiting);

  const int permits_;
  std::atomic<int> free_;  // below 0: so many wait for a permit that nobody has handed them yet
  std::mutex mutex_;
  Waiting* first_ = nullptr;  // queue, linked through the callers' stack frames
  Waiting* last_ = nullptr;
  int handed_ = 0;  // permits for those that have come and not yet queued
};

}  // namespace tenon
