#include "tenon/serving/batching/batch_scheduler.h"

#include "tenon/base/thread.h"
#include "tenon/base/wait_notice.h"

namespace tenon::serving {
namespace {

using SteadyClock = std::chrono::steady_clock;

}  // namespace

void BatchTask::finish(Status status, std::vector<Tensor> outputs) {
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
    status_ = std::move(status);
    outputs_ = std::move(outputs);
  }
  done_.notify_all();
}

StatusOr<std::vector<Tensor>> BatchTask::wait() {
  // Nobody tells a waiting thread that its client has gone: it looks now and then.
  constexpr std::chrono::milliseconds kPeriod{20};
  about_to_wait();
  std::unique_lock lock(mutex_);
  while (!finished_) {
    TENON_RETURN_IF_ERROR(limits_.check());
    if (limits_.cancelled != nullptr) {
      done_.wait_until(lock, std::min(limits_.deadline, SteadyClock::now() + kPeriod));
    } else if (limits_.deadline == SteadyClock::time_point::max()) {
      done_.wait(lock);
    } else {
      done_.wait_until(lock, limits_.deadline);
    }
  }
  TENON_RETURN_IF_ERROR(status_);
  return std::move(outputs_);
}

BatchScheduler::Queue::Queue(std::shared_ptr<BatchScheduler> scheduler,
                             BatchingParameters parameters, Process process)
    : scheduler_(std::move(scheduler)),
      parameters_(std::move(parameters)),
      process_(std::move(process)) {
  std::lock_guard lock(scheduler_->mutex_);
  scheduler_->queues_.push_back(this);
}

BatchScheduler::Queue::~Queue() {
  std::unique_lock lock(scheduler_->mutex_);
  closed_ = true;
  scheduler_->changed_.notify_all();
  scheduler_->changed_.wait(
      lock, [&] { return running_ == 0 && batches_.size() == 1 && batches_[0].tasks.empty(); });
  scheduler_->queues_.remove(this);
}

std::vector<int64_t> BatchScheduler::Queue::cut(int64_t rows) const {
  const int64_t most = parameters_.max_execution_batch_size;
  if (!parameters_.split_large || rows > parameters_.max_batch_size) return {rows};
  std::vector<int64_t> pieces;
  std::lock_guard lock(scheduler_->mutex_);
  const int64_t open = most - batches_.back().rows;
  if (open > 0 && open < rows) pieces.push_back(open);
  for (int64_t left = rows - (pieces.empty() ? 0 : open); left > 0; left -= most) {
    pieces.push_back(std::min(left, most));
  }
  return pieces;
}

Status BatchScheduler::Queue::check_capacity(int64_t rows) const {
  if (rows > parameters_.max_batch_size) {
    return invalid_argument("Task size ", rows, " is larger than maximum input batch size ",
                            parameters_.max_batch_size);
  }
  const int64_t most = parameters_.max_execution_batch_size;
  const auto enqueued = static_cast<int64_t>(batches_.size());
  const int64_t open = batches_.back().rows;
  if (parameters_.split_large) {
    const int64_t capacity =
        std::max<int64_t>(parameters_.max_enqueued_batches - enqueued, 0) * most + (most - open);
    if (rows <= capacity) return absl::OkStatus();
    return unavailable("The batch scheduling queue to which this task was submitted is full; ",
                       "task size is ", rows, " but scheduling capacity is only ", capacity,
                       " (num_enqueued_batches=", enqueued,
                       ", max_enqueued_batches=", parameters_.max_enqueued_batches,
                       ", open_batch_size=", open, ", max_execution_batch_size=", most, ")");
  }
  if (open + rows <= most || enqueued < parameters_.max_enqueued_batches) return absl::OkStatus();
  return unavailable("The batch scheduling queue to which this task was submitted is full; ",
                     "currently ", enqueued, " batches enqueued and max_enqueued_batches is ",
                     parameters_.max_enqueued_batches);
}

Status BatchScheduler::Queue::add(std::span<const std::shared_ptr<BatchTask>> pieces) {
  int64_t rows = 0;
  for (const auto& piece : pieces) rows += piece->rows;
  {
    std::lock_guard lock(scheduler_->mutex_);
    TENON_RETURN_IF_ERROR(check_capacity(rows));
    for (const auto& piece : pieces) {
      if (batches_.back().rows + piece->rows > parameters_.max_execution_batch_size &&
          !batches_.back().tasks.empty()) {
        batches_.emplace_back();
      }
      batches_.back().tasks.push_back(piece);
      batches_.back().rows += piece->rows;
    }
  }
  scheduler_->changed_.notify_one();
  return absl::OkStatus();
}

// Under the scheduler's lock.
bool BatchScheduler::Queue::ready(SteadyClock::time_point now) const {
  if (batches_.size() > 1) return true;
  const OpenBatch& open = batches_.front();
  if (open.tasks.empty()) return false;
  const auto timeout = std::chrono::microseconds(parameters_.timeout_microseconds);
  return closed_ || open.rows >= parameters_.max_execution_batch_size ||
         now - open.tasks.front()->enqueued >= timeout;
}

StatusOr<std::shared_ptr<BatchScheduler>> BatchScheduler::create(int threads) {
  std::shared_ptr<BatchScheduler> scheduler(new BatchScheduler);
  if (threads <= 0) threads = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  for (int i = 0; i < threads; ++i) {
    TENON_ASSIGN_OR_RETURN(std::thread thread,
                           start_thread([pointer = scheduler.get()] { pointer->run(); }));
    scheduler->threads_.push_back(std::move(thread));
  }
  return scheduler;
}

BatchScheduler::~BatchScheduler() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

BatchScheduler::Figures BatchScheduler::figures() {
  Figures figures;
  std::lock_guard lock(mutex_);
  for (const Queue* queue : queues_) {
    for (const Queue::OpenBatch& batch : queue->batches_) {
      figures.tasks += static_cast<int64_t>(batch.tasks.size());
      figures.rows += batch.rows;
    }
  }
  return figures;
}

BatchScheduler::Queue* BatchScheduler::next_ready(SteadyClock::time_point& wake) {
  wake = SteadyClock::time_point::max();
  const auto now = SteadyClock::now();
  for (auto place = queues_.begin(); place != queues_.end(); ++place) {
    Queue* queue = *place;
    if (queue->ready(now)) {
      queues_.splice(queues_.end(), queues_, place);  // the others' turn
      return queue;
    }
    if (queue->batches_.front().tasks.empty()) continue;
    wake = std::min(wake, queue->batches_.front().tasks.front()->enqueued +
                              std::chrono::microseconds(queue->parameters_.timeout_microseconds));
  }
  return nullptr;
}

void BatchScheduler::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    SteadyClock::time_point wake;
    Queue* queue = next_ready(wake);
    if (queue == nullptr) {
      if (wake == SteadyClock::time_point::max()) {
        changed_.wait(lock);
      } else {
        changed_.wait_until(lock, wake);
      }
      continue;
    }
    Batch batch = std::move(queue->batches_.front().tasks);
    queue->batches_.pop_front();
    if (queue->batches_.empty()) queue->batches_.emplace_back();
    ++queue->running_;
    lock.unlock();
    queue->process_(batch);
    batch.clear();
    lock.lock();
    --queue->running_;
    if (queue->closed_) changed_.notify_all();
  }
}

}  // namespace tenon::serving
