// RunTurn: who may compute when, so that short runs never wait behind long ones and threads are not
// more than the processors have use for.
//
// Short runs execute on the thread where they arrived, as many at a time as there are threads,
// first come, first served. Long runs have a gate of their own, half as wide (at least two), so
// that they never fill the one of the short; those inside share out the threads that short runs
// leave: one long run alone goes wide, several run side by side with fewer each.
//
// Runs on a device wait for nobody here, so that those that wait for each other, as replicas in a
// collective do, cannot fill a gate. What they have the host do counts as one long run more.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "tenon/base/status.h"

namespace tenon {

enum class RunForm : uint8_t { kShort, kLong, kDevice };

// When a run is to end early.
struct RunLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  const std::atomic<bool>* cancelled = nullptr;  // may be null; outlives the run

  // CANCELLED or DEADLINE_EXCEEDED when it is to end.
  Status check() const;
};

// The calling thread's turn, until it is destroyed. A thread that has one already runs within it.
class RunTurn {
 public:
  // Waits for it. CANCELLED or DEADLINE_EXCEEDED when the limits are reached before.
  static StatusOr<RunTurn> take(RunForm form, const RunLimits& limits);
  RunTurn(RunTurn&& other) noexcept : form_(std::exchange(other.form_, std::nullopt)) {}
  RunTurn& operator=(RunTurn&&) = delete;
  ~RunTurn();

  // Threads that the calling thread's run may use now, at least 1.
  static int threads();

  // CANCELLED or DEADLINE_EXCEEDED when the calling thread's run is to end. Costs next to nothing
  // when the turn was taken without limits. Asked between steps and by each function that is
  // called.
  static Status check();
  // Can check() say anything but OK?
  static bool limited();

 private:
  explicit RunTurn(std::optional<RunForm> form) : form_(form) {}
  std::optional<RunForm> form_;  // null: within another turn, or given away
};

// Gives the calling thread's turn to others until it is destroyed, which waits for a turn again:
// for a run that waits for another run. Without a turn it does nothing.
class RunPause {
 public:
  RunPause();
  ~RunPause();
  RunPause(const RunPause&) = delete;
  RunPause& operator=(const RunPause&) = delete;

 private:
  std::optional<RunForm> form_;
};

// For work that nobody waits for: while it lives the calling thread runs without a turn, at once
// and on itself alone, and takes nothing from those that have one but what the system gives it of
// the processors. `limits` end its runs. Not within a turn.
class RunBeside {
 public:
  explicit RunBeside(const RunLimits& limits);
  ~RunBeside();
  RunBeside(const RunBeside&) = delete;
  RunBeside& operator=(const RunBeside&) = delete;
};

}  // namespace tenon
