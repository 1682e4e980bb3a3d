// BatchScheduler: queues of requests that wait to be merged, and the threads that run the batches.
//
// The rules are those of TensorFlow's SharedBatchScheduler: each queue has batches, the last of
// them open; a batch is run when it is full, or when its first rows have waited for the timeout;
// threads take the queues in turn, so that no model starves another. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "tenon/core/tensor.h"
#include "tenon/runtime/run_turn.h"
#include "tenon/serving/batching/batching_parameters.h"

namespace tenon::serving {

// Rows that travel together: one request, or a piece of one.
class BatchTask {
 public:
  BatchTask(int64_t row_count, std::vector<Tensor> tensors, const RunLimits& limits)
      : rows(row_count), inputs(std::move(tensors)), deadline(limits.deadline), limits_(limits) {}

  // Ends the task; wakes who waits for it.
  void finish(Status status, std::vector<Tensor> outputs);
  // Waits for that. CANCELLED or DEADLINE_EXCEEDED when the limits come first: the rows may still
  // be run then, for nobody.
  StatusOr<std::vector<Tensor>> wait();

  const int64_t rows;
  const std::vector<Tensor> inputs;
  const std::chrono::steady_clock::time_point deadline;
  const std::chrono::steady_clock::time_point enqueued = std::chrono::steady_clock::now();

 private:
  const RunLimits limits_;
  std::mutex mutex_;
  std::condition_variable done_;
  bool finished_ = false;
  Status status_;
  std::vector<Tensor> outputs_;
};

class BatchScheduler {
 public:
  using Batch = std::vector<std::shared_ptr<BatchTask>>;
  // Runs a batch and finishes its tasks. Called on the scheduler's threads.
  using Process = std::function<void(const Batch&)>;

  // One queue. Removed when it is destroyed, which waits until its batches are done.
  class Queue {
   public:
    Queue(std::shared_ptr<BatchScheduler> scheduler, BatchingParameters parameters,
          Process process);
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    // INVALID_ARGUMENT for a request larger than any batch, UNAVAILABLE when the queue is full,
    // with TensorFlow's texts. `pieces` are of at most max_execution_batch_size rows each.
    Status add(std::span<const std::shared_ptr<BatchTask>> pieces);

    // How a request of `rows` rows is cut now: one piece unless large ones are split.
    std::vector<int64_t> cut(int64_t rows) const;

   private:
    friend class BatchScheduler;
    struct OpenBatch {
      Batch tasks;
      int64_t rows = 0;
    };
    Status check_capacity(int64_t rows) const;
    bool ready(std::chrono::steady_clock::time_point now) const;

    const std::shared_ptr<BatchScheduler> scheduler_;
    const BatchingParameters parameters_;
    const Process process_;
    std::deque<OpenBatch> batches_{1};  // guarded by the scheduler's mutex; the last is open
    int running_ = 0;
    bool closed_ = false;
  };

  static StatusOr<std::shared_ptr<BatchScheduler>> create(int threads);
  ~BatchScheduler();

  // What waits in all queues, just now.
  struct Figures {
    int64_t tasks = 0;
    int64_t rows = 0;
  };
  Figures figures();

 private:
  BatchScheduler() = default;
  void run();
  // A queue whose first batch may run now, the next in turn; else `wake` says when one's may.
  Queue* next_ready(std::chrono::steady_clock::time_point& wake);

  std::mutex mutex_;  // guards what follows and the batches of all queues
  std::condition_variable changed_;
  std::list<Queue*> queues_;  // in the order of their turns
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tenon::serving
