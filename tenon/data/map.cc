#include <condition_variable>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread.h"
#include "tenon/data/dataset_of.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

// The source is read by one thread at a time, whichever is free: elements are numbered by then, and
// element n waits in slot n modulo the number of slots until it is its turn.
class MapIterator final : public Iterator {
 public:
  MapIterator(std::unique_ptr<Iterator> source, MapFunction function, int threads)
      : source_(std::move(source)), function_(std::move(function)), wanted_(threads) {}
  ~MapIterator() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  StatusOr<bool> next(Element& element) override {
    if (wanted_ > 1) start();
    if (threads_.empty()) {
      Element source;
      TENON_ASSIGN_OR_RETURN(const bool more, source_->next(source));
      if (!more) return false;
      TENON_ASSIGN_OR_RETURN(element, function_(std::move(source)));
      return true;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    Slot& slot = slots_[taken_ % slots_.size()];
    changed_.wait(lock, [&] { return slot.ready || (ended_ && taken_ == begun_); });
    if (!slot.ready) {
      if (!source_status_.ok()) return source_status_;
      return false;
    }
    slot.ready = false;
    ++taken_;
    StatusOr<Element> result = std::exchange(slot.result, Element());
    lock.unlock();
    changed_.notify_all();
    if (!result.ok()) return result.status();
    element = *std::move(result);
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    return threads_.empty() ? source_->skip(count) : Iterator::skip(count);
  }

 private:
  struct Slot {
    StatusOr<Element> result = Element();
    bool ready = false;
  };

  // Fewer threads, or none, where the system has no more to give.
  void start() {
    slots_.resize(static_cast<size_t>(wanted_));
    threads_.reserve(slots_.size());
    while (threads_.size() < slots_.size()) {
      StatusOr<std::thread> thread = start_thread([this] { work(); });
      if (!thread.ok()) break;
      threads_.push_back(*std::move(thread));
    }
    wanted_ = 0;
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] {
        return stopped_ || ended_ || (!reading_ && begun_ - taken_ < slots_.size());
      });
      if (stopped_ || ended_) return;
      reading_ = true;
      lock.unlock();
      Element element;
      const StatusOr<bool> more = or_out_of_memory([&] { return source_->next(element); });
      lock.lock();
      reading_ = false;
      if (!more.ok() || !*more) {
        source_status_ = more.status();
        ended_ = true;
        changed_.notify_all();
        return;
      }
      Slot& slot = slots_[begun_++ % slots_.size()];
      lock.unlock();
      changed_.notify_all();
      StatusOr<Element> result = or_out_of_memory([&] { return function_(std::move(element)); });
      lock.lock();
      slot.result = std::move(result);
      slot.ready = true;
      changed_.notify_all();
    }
  }

  std::unique_ptr<Iterator> source_;
  MapFunction function_;
  int wanted_;  // threads, until they are started
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  size_t begun_ = 0, taken_ = 0;  // elements that were read, and that the caller has
  bool reading_ = false, ended_ = false, stopped_ = false;
  Status source_status_;
  std::vector<std::thread> threads_;
};

}  // namespace

DatasetPtr map(DatasetPtr elements, MapFunction function, int threads) {
  return dataset_of(
      [elements, function = std::move(function), threads](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<MapIterator>(std::move(source), function, threads);
      },
      [elements] { return elements->size(); });
}

}  // namespace tenon::data
