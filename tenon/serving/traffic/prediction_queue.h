// PredictionQueue: predictions on their way from the threads that made them to one that looks at
// them, which has only the processors that nobody else wants (SCHED_IDLE). It has no lock: who
// holds one while others want the processors would keep those waiting who add. Thread-safe.
#pragma once

#include <functional>
#include <thread>

#include "tenon/serving/traffic/prediction.h"

namespace tenon::serving {

class PredictionQueue {
 public:
  // Calls `look` with one after another, on one thread. What waits takes `most_bytes` at most.
  // RESOURCE_EXHAUSTED where the system has no thread left.
  static StatusOr<std::unique_ptr<PredictionQueue>> start(
      size_t most_bytes, std::function<void(const Prediction&)> look);
  ~PredictionQueue();  // stop(0)

  // False where there is no room.
  bool add(const PredictionView& prediction);

  // Goes on with what waits for so long, then drops the rest. Nothing is added any more. Called
  // once, or again after it has returned.
  void stop(std::chrono::milliseconds patience);

 private:
  struct Waiting {
    Prediction prediction;
    size_t bytes;
    std::unique_ptr<Waiting> next;
  };
  PredictionQueue(size_t most_bytes, std::function<void(const Prediction&)> look)
      : most_bytes_(most_bytes), look_(std::move(look)) {}
  std::unique_ptr<Waiting> take_all();
  bool late() const;
  void run();

  const size_t most_bytes_;
  const std::function<void(const Prediction&)> look_;
  std::atomic<Waiting*> last_{nullptr};  // a list, the latest first; owned
  std::atomic<size_t> bytes_{0};         // of what waits, and of the one looked at
  std::atomic<int> changes_{0};          // what the thread sleeps on
  std::atomic<bool> stopping_{false};
  std::chrono::steady_clock::time_point stop_at_;  // set before stopping_
  std::thread thread_;
};

}  // namespace tenon::serving
