// PredictionQueue: predictions on their way from the threads that made them to one that looks at
// them, which has only the processors that nobody else wants (SCHED_IDLE). Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
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

  // Goes on with what waits for so long, then drops the rest. Nothing is added any more.
  void stop(std::chrono::milliseconds patience);

 private:
  PredictionQueue(size_t most_bytes, std::function<void(const Prediction&)> look)
      : most_bytes_(most_bytes), look_(std::move(look)) {}
  void run();

  const size_t most_bytes_;
  const std::function<void(const Prediction&)> look_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::pair<Prediction, size_t>> waiting_;  // with the bytes of each
  size_t bytes_ = 0;                                   // of all of them, and of the one looked at
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_at_;
  std::thread thread_;
};

}  // namespace tenon::serving
