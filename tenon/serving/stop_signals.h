// StopSignals: SIGTERM and SIGINT, taken by a thread of their own, so that whoever works for long,
// on any thread, can see that one has come.
//
// Made before any other thread, so that they all leave the signals alone. Thread-safe.
#pragma once

#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "tenon/base/status.h"

namespace tenon::serving {

class StopSignals {
 public:
  static StatusOr<std::unique_ptr<StopSignals>> take();
  // The signals have the effect again that they had before.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Has one come that wait() has not told of yet, or does one within `milliseconds`?
  bool wait(int64_t milliseconds);
  // Has any come?
  const std::atomic<bool>& asked() const { return asked_; }

 private:
  StopSignals();
  void follow();

  sigset_t set_;
  sigset_t before_;
  std::atomic<bool> asked_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable come_;
  int untold_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tenon::serving
