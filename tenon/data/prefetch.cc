#include <condition_variable>
#include <deque>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread.h"
#include "tenon/data/dataset_of.h"

namespace tenon::data {

namespace {

// Of what an autotuned buffer holds; two elements whatever their size, for one is being read.
constexpr size_t kFewest = 2, kMost = 512, kMostBytes = size_t{64} << 20;

size_t bytes_of(const Element& element) {
  size_t bytes = 0;
  for (const Tensor& tensor : element) {
    bytes += tensor.num_bytes();
    if (tensor.dtype() != DType::kString) continue;
    for (std::string_view text : tensor.span<std::string_view>()) bytes += text.size();
  }
  return bytes;
}

class PrefetchIterator final : public Iterator {
 public:
  PrefetchIterator(std::unique_ptr<Iterator> source, int depth)
      : source_(std::move(source)),
        tuned_(depth == kAutotune),
        limit_(tuned_ ? kFewest : static_cast<size_t>(std::max(1, depth))) {}
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
    if (ready_.empty() && !ended_) grow();
    changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
    if (ready_.empty()) {
      if (!status_.ok()) return status_;
      return false;
    }
    // The caller's old tensors become memory for a batch to come.
    std::swap(element, ready_.front().element);
    bytes_ -= ready_.front().bytes;
    if (!ready_.front().element.empty() && spare_.size() <= limit_) {
      spare_.push_back(std::move(ready_.front().element));
    }
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return true;
  }

  StatusOr<int64_t> skip(int64_t count) override {
    return started_ ? Iterator::skip(count) : source_->skip(count);
  }

 private:
  struct Ready {
    Element element;
    size_t bytes;
  };

  // By the first call of next(), so that what is passed over before is not made. Without a thread,
  // elements are made when they are asked for.
  void start() {
    if (std::exchange(started_, true)) return;
    if (StatusOr<std::thread> thread = start_thread([this] { produce(); }); thread.ok()) {
      thread_ = *std::move(thread);
    }
  }

  // The reader waits. A larger buffer helps where the buffer was full before: then elements come as
  // fast as they are read, but not as evenly. Where it never fills, they come too slowly.
  void grow() {
    if (!tuned_ || !was_full_) return;
    limit_ = std::min(2 * limit_, kMost);
    was_full_ = false;
    changed_.notify_all();
  }

  bool has_room() const {
    return ready_.size() < limit_ &&
           (!tuned_ || ready_.size() < kFewest || bytes_ + bytes_ / ready_.size() <= kMostBytes);
  }

  void produce() {
    for (;;) {
      Element element;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        was_full_ = was_full_ || ready_.size() >= limit_;
        changed_.wait(lock, [this] { return stopped_ || has_room(); });
        if (stopped_) return;
        if (!spare_.empty()) {
          element = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      const StatusOr<bool> more = or_out_of_memory([&] { return source_->next(element); });
      const size_t bytes = tuned_ && more.ok() && *more ? bytes_of(element) : 0;
      const std::lock_guard<std::mutex> lock(mutex_);
      if (more.ok() && *more) {
        bytes_ += bytes;
        ready_.push_back({std::move(element), bytes});
      } else {
        status_ = more.status();
        ended_ = true;
      }
      changed_.notify_all();
      if (ended_) return;
    }
  }

  std::unique_ptr<Iterator> source_;
  const bool tuned_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t limit_;  // of ready_
  std::deque<Ready> ready_;
  size_t bytes_ = 0;            // of ready_, where the buffer is tuned
  bool was_full_ = false;       // since the limit grew
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
