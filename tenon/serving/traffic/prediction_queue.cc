#include "tenon/serving/traffic/prediction_queue.h"

#include <sched.h>

#include "tenon/base/thread.h"

namespace tenon::serving {

size_t bytes_of(const PredictionView& prediction) {
  constexpr size_t kTensor = 256;  // beside its elements
  size_t bytes = sizeof(Prediction);
  for (const auto tensors : {prediction.inputs, prediction.results}) {
    for (const Tensor& tensor : tensors) {
      bytes += kTensor + tensor.num_bytes();
      if (tensor.dtype() != DType::kString) continue;
      for (const std::string_view text : tensor.span<std::string_view>()) bytes += text.size();
    }
  }
  return bytes;
}

StatusOr<std::unique_ptr<PredictionQueue>> PredictionQueue::start(
    size_t most_bytes, std::function<void(const Prediction&)> look) {
  std::unique_ptr<PredictionQueue> queue(new PredictionQueue(most_bytes, std::move(look)));
  TENON_ASSIGN_OR_RETURN(queue->thread_, start_thread([raw = queue.get()] { raw->run(); }));
  return queue;
}

PredictionQueue::~PredictionQueue() { stop(std::chrono::milliseconds(0)); }

bool PredictionQueue::add(const PredictionView& prediction) {
  const size_t bytes = bytes_of(prediction);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || bytes > most_bytes_ || bytes_ > most_bytes_ - bytes) return false;
    waiting_.emplace_back(Prediction(prediction), bytes);
    bytes_ += bytes;
    if (waiting_.size() > 1) return true;  // it is awake
  }
  changed_.notify_one();
  return true;
}

void PredictionQueue::stop(std::chrono::milliseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) stop_at_ = std::chrono::steady_clock::now() + patience;
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void PredictionQueue::run() {
  const sched_param none = {};
  ::sched_setscheduler(0, SCHED_IDLE, &none);  // of this thread; where it may not, it goes without
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    const bool late = stopping_ && std::chrono::steady_clock::now() >= stop_at_;
    if (waiting_.empty() || late) return;
    {
      const auto [prediction, bytes] = std::move(waiting_.front());
      lock.unlock();
      look_(prediction);
      lock.lock();
      bytes_ -= bytes;
    }
    waiting_.pop_front();
  }
}

}  // namespace tenon::serving
