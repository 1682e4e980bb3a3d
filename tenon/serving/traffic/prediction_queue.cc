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

PredictionQueue::~PredictionQueue() {
  stop(std::chrono::milliseconds(0));
  take_all();
}

bool PredictionQueue::add(const PredictionView& prediction) {
  const size_t bytes = bytes_of(prediction);
  if (stopping_ || bytes > most_bytes_) return false;
  if (bytes_.fetch_add(bytes) > most_bytes_ - bytes) {
    bytes_ -= bytes;
    return false;
  }
  Waiting* added = nullptr;
  try {
    added = new Waiting{Prediction(prediction), bytes, nullptr};
  } catch (const std::bad_alloc&) {
    bytes_ -= bytes;
    return false;
  }
  Waiting* before = last_.load(std::memory_order_relaxed);
  do {
    (void)added->next.release();
    added->next.reset(before);
  } while (!last_.compare_exchange_weak(before, added, std::memory_order_release,
                                        std::memory_order_relaxed));
  if (before != nullptr) return true;  // the thread has not come to it yet
  ++changes_;
  changes_.notify_one();
  return true;
}

void PredictionQueue::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  stop_at_ = std::chrono::steady_clock::now() + patience;
  stopping_ = true;
  ++changes_;
  changes_.notify_one();
  thread_.join();
}

// What waits, the first first.
std::unique_ptr<PredictionQueue::Waiting> PredictionQueue::take_all() {
  std::unique_ptr<Waiting> latest(last_.exchange(nullptr, std::memory_order_acquire));
  std::unique_ptr<Waiting> first;
  while (latest) {
    std::unique_ptr<Waiting> before = std::move(latest->next);
    latest->next = std::move(first);
    first = std::move(latest);
    latest = std::move(before);
  }
  return first;
}

bool PredictionQueue::late() const {
  return stopping_ && std::chrono::steady_clock::now() >= stop_at_;
}

void PredictionQueue::run() {
  const sched_param none = {};
  ::sched_setscheduler(0, SCHED_IDLE, &none);  // of this thread; where it may not, it goes without
  for (;;) {
    const int seen = changes_;
    std::unique_ptr<Waiting> next = take_all();
    if (!next) {
      if (stopping_) return;
      changes_.wait(seen);
      continue;
    }
    while (next) {
      if (!late()) look_(next->prediction);
      const size_t bytes = next->bytes;
      next = std::move(next->next);  // so that a long list is not freed in one recursion
      bytes_ -= bytes;
    }
  }
}

}  // namespace tenon::serving
