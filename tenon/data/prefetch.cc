#include <condition_variable>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread.h"
#include "tenon/data/dataset_of.h"

namespace tenon::data {

namespace {

class PrefetchIterator final : public Iterator {
 public:
  PrefetchIterator(std::unique_ptr<Iterator> source, int depth)
      : source_(std::move(source)), ring_(static_cast<size_t>(std::max(1, depth))) {
    spare_.reserve(ring_.size() + 1);
  }
  ~PrefetchIterator() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  StatusOr<bool> next(Element& element) override {
    start();
    if (!thread_.joinable()) return source_->next(element);
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return ready_ > 0 || ended_; });
    if (ready_ == 0) {
      if (!status_.ok()) return status_;
      return false;
    }
    // The caller's old tensors become memory for a batch to come.
    std::swap(element, ring_[first_]);
    if (!ring_[first_].empty() && spare_.size() < spare_.capacity()) {
      spare_.push_back(std::move(ring_[first_]));
    }
    first_ = (first_ + 1) % ring_.size();
    --ready_;
    lock.unlock();
    changed_.notify_all();
    return true;
  }

  StatusOr<int64_t> skip(int64_t count) override {
    return started_ ? Iterator::skip(count) : source_->skip(count);
  }

 private:
  // By the first call of next(), so that what is passed over before is not made. Without a thread,
  // elements are made when they are asked for.
  void start() {
    if (std::exchange(started_, true)) return;
    if (StatusOr<std::thread> thread = start_thread([this] { produce(); }); thread.ok()) {
      thread_ = *std::move(thread);
    }
  }

  void produce() {
    for (;;) {
      Element element;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stopped_ || ready_ < ring_.size(); });
        if (stopped_) return;
        if (!spare_.empty()) {
          element = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      const StatusOr<bool> more = or_out_of_memory([&] { return source_->next(element); });
      const std::lock_guard<std::mutex> lock(mutex_);
      if (more.ok() && *more) {
        ring_[(first_ + ready_++) % ring_.size()] = std::move(element);
      } else {
        status_ = more.status();
        ended_ = true;
      }
      changed_.notify_all();
      if (ended_) return;
    }
  }

  std::unique_ptr<Iterator> source_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Element> ring_;  // what is ready: `ready_` elements from `first_` on
  size_t first_ = 0, ready_ = 0;
  std::vector<Element> spare_;  // memory to be written again
  Status status_;
  bool started_ = false, stopped_ = false, ended_ = false;
  std::thread thread_;
};

}  // namespace

DatasetPtr prefetch(DatasetPtr elements, int depth) {
  return dataset_of(
      [elements, depth](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<PrefetchIterator>(std::move(source), depth);
      },
      [elements] { return elements->size(); });
}

}  // namespace tenon::data
