// flat_map and interleave: the elements of datasets that elements give.
#include <condition_variable>
#include <deque>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread.h"
#include "tenon/data/dataset_of.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

struct InterleaveOptions {
  FlatMapFunction function;
  size_t cycle_length;
  int64_t block_length;
  int threads;
  bool deterministic;
  uint64_t epoch;

  IteratorOr open(const Element& element) const {
    TENON_ASSIGN_OR_RETURN(const DatasetPtr dataset, function(element));
    return dataset->iterate(epoch);
  }
};

class InterleaveIterator final : public Iterator {
 public:
  InterleaveIterator(std::unique_ptr<Iterator> source, InterleaveOptions options)
      : source_(std::move(source)), options_(std::move(options)) {}
  StatusOr<bool> next(Element& element) override {
    // Places of the cycle are made as datasets come, so that a long one costs nothing.
    while (!ended_ || open_ > 0) {
      if (at_ < cycle_.size() && cycle_[at_]) {
        TENON_ASSIGN_OR_RETURN(const bool more, cycle_[at_]->next(element));
        if (more) {
          if (++taken_ == options_.block_length) advance();
          return true;
        }
        cycle_[at_] = nullptr;
        --open_;
        advance();
      } else if (ended_) {
        advance();
      } else {
        TENON_RETURN_IF_ERROR(open());
      }
    }
    return false;
  }

 private:
  void advance() {
    taken_ = 0;
    at_ = at_ + 1 >= (ended_ ? cycle_.size() : options_.cycle_length) ? 0 : at_ + 1;
  }
  // The next dataset at this place of the cycle.
  Status open() {
    Element element;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(element));
    if (!more) {
      ended_ = true;
      return absl::OkStatus();
    }
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> iterator, options_.open(element));
    if (at_ == cycle_.size()) cycle_.emplace_back();
    cycle_[at_] = std::move(iterator);
    ++open_;
    return absl::OkStatus();
  }

  std::unique_ptr<Iterator> source_;
  const InterleaveOptions options_;
  std::vector<std::unique_ptr<Iterator>> cycle_;
  size_t at_ = 0;      // place of the cycle
  int64_t taken_ = 0;  // elements of this block
  size_t open_ = 0;    // places that hold an iterator
  bool ended_ = false;
};

// Datasets are lanes: those of the cycle, and a few that wait to take the places of those that end.
// A thread takes a lane that has room, opens it if it is new, and reads one element of it; or else
// makes a new lane of the next element of the source. The caller goes round as InterleaveIterator
// does.
class ParallelInterleaveIterator final : public Iterator {
 public:
  ParallelInterleaveIterator(std::unique_ptr<Iterator> source, InterleaveOptions options)
      : source_(std::move(source)),
        options_(std::move(options)),
        lane_room_(static_cast<size_t>(std::clamp<int64_t>(options_.block_length, 2, 64))) {}
  ~ParallelInterleaveIterator() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  StatusOr<bool> next(Element& element) override {
    if (!std::exchange(started_, true)) start();
    if (alone_) return alone_->next(element);
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return find_place(); });
      if (at_ < cycle_.size() && cycle_[at_]) {
        Lane& lane = *cycle_[at_];
        if (!lane.ready.empty()) {
          element = std::move(lane.ready.front());
          lane.ready.pop_front();
          if (++taken_ == options_.block_length) advance();
          lock.unlock();
          changed_.notify_all();
          return true;
        }
        if (!lane.status.ok()) return lane.status;
        cycle_[at_] = nullptr;
        --open_;
        advance();
      } else if (!waiting_.empty()) {
        if (at_ == cycle_.size()) cycle_.emplace_back();
        cycle_[at_] = std::move(waiting_.front());
        waiting_.pop_front();
        ++open_;
        changed_.notify_all();
      } else if (!source_status_.ok()) {
        return source_status_;
      } else if (open_ == 0) {
        return false;
      } else {
        advance();
      }
    }
  }

 private:
  struct Lane {
    Element element;                     // what it is made of, until it is open
    std::unique_ptr<Iterator> iterator;  // null before that
    std::deque<Element> ready;
    Status status;
    bool busy = false, ended = false;
  };
  using LanePtr = std::shared_ptr<Lane>;

  bool drained() const { return source_ended_ && source_status_.ok() && waiting_.empty(); }
  void advance() {
    taken_ = 0;
    at_ = next_place(at_);
  }
  size_t next_place(size_t at) const {
    return at + 1 >= (drained() ? cycle_.size() : options_.cycle_length) ? 0 : at + 1;
  }
  // Can the place be decided about without waiting?
  bool is_decided(size_t at) const {
    if (at < cycle_.size() && cycle_[at]) return !cycle_[at]->ready.empty() || cycle_[at]->ended;
    return source_ended_ || !waiting_.empty();
  }
  // True when next() need not wait at at_, which moves to where it need not if order is not kept.
  bool find_place() {
    if (is_decided(at_) || options_.deterministic) return is_decided(at_);
    for (size_t at = 0; at < std::min(cycle_.size() + 1, options_.cycle_length); ++at) {
      const bool taken = at < cycle_.size() && cycle_[at];
      if (taken ? !is_decided(at) : waiting_.empty()) continue;
      at_ = at;
      taken_ = 0;
      return true;
    }
    return false;
  }

  // Fewer threads where the system has no more to give, and the caller's alone where it has none.
  void start() {
    threads_.reserve(static_cast<size_t>(options_.threads));
    while (threads_.size() < static_cast<size_t>(options_.threads)) {
      StatusOr<std::thread> thread = start_thread([this] { work(); });
      if (!thread.ok()) break;
      threads_.push_back(*std::move(thread));
    }
    if (threads_.empty())
      alone_ = std::make_unique<InterleaveIterator>(std::move(source_), options_);
  }

  static bool has_room(const Lane& lane, size_t room) {
    return !lane.busy && !lane.ended && lane.ready.size() < room;
  }
  // The lane whose elements will be asked for first among those with room; null when there is none.
  LanePtr find_lane() const {
    for (size_t i = 0; i < cycle_.size(); ++i) {
      const LanePtr& lane = cycle_[(at_ + i) % cycle_.size()];
      if (lane && has_room(*lane, lane_room_)) return lane;
    }
    for (const LanePtr& lane : waiting_) {
      if (has_room(*lane, lane_room_)) return lane;
    }
    return nullptr;
  }
  bool may_read_source() const {
    return !reading_ && !source_ended_ && waiting_.size() < static_cast<size_t>(options_.threads);
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      LanePtr lane;
      changed_.wait(
          lock, [&] { return stopped_ || (lane = find_lane()) != nullptr || may_read_source(); });
      if (stopped_) return;
      if (lane) {
        read_lane(*lane, lock);
      } else {
        read_source(lock);
      }
      changed_.notify_all();
    }
  }

  // Both let go of the lock while they read.
  void read_lane(Lane& lane, std::unique_lock<std::mutex>& lock) {
    lane.busy = true;
    lock.unlock();
    Element element;
    const StatusOr<bool> more = or_out_of_memory([&]() -> StatusOr<bool> {
      if (!lane.iterator) {
        TENON_ASSIGN_OR_RETURN(lane.iterator, options_.open(lane.element));
        lane.element.clear();
      }
      return lane.iterator->next(element);
    });
    const bool ended = !more.ok() || !*more;
    if (ended) lane.iterator = nullptr;
    lock.lock();
    lane.busy = false;
    lane.ended = ended;
    lane.status = more.status();
    if (!ended) lane.ready.push_back(std::move(element));
  }
  void read_source(std::unique_lock<std::mutex>& lock) {
    reading_ = true;
    lock.unlock();
    const auto lane = std::make_shared<Lane>();
    const StatusOr<bool> more = or_out_of_memory([&] { return source_->next(lane->element); });
    lock.lock();
    reading_ = false;
    if (more.ok() && *more) {
      waiting_.push_back(lane);
    } else {
      source_status_ = more.status();
      source_ended_ = true;
    }
  }

  std::unique_ptr<Iterator> source_;
  const InterleaveOptions options_;
  const size_t lane_room_;           // elements that a lane holds ready
  std::unique_ptr<Iterator> alone_;  // reads everything where there are no threads
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LanePtr> cycle_;
  std::deque<LanePtr> waiting_;  // in the order of the source
  size_t at_ = 0;                // place of the cycle
  int64_t taken_ = 0;            // elements of this block
  size_t open_ = 0;              // places that hold a lane
  bool started_ = false, stopped_ = false, reading_ = false, source_ended_ = false;
  Status source_status_;
  std::vector<std::thread> threads_;
};

}  // namespace

DatasetPtr interleave(DatasetPtr elements, FlatMapFunction function, int64_t cycle_length,
                      int64_t block_length, int threads, bool deterministic) {
  const InterleaveOptions options = {std::move(function),
                                     static_cast<size_t>(std::max<int64_t>(1, cycle_length)),
                                     std::max<int64_t>(1, block_length),
                                     threads,
                                     deterministic,
                                     0};
  return dataset_of(
      [elements, options](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        InterleaveOptions own = options;
        own.epoch = epoch;
        if (own.threads > 1) {
          return std::make_unique<ParallelInterleaveIterator>(std::move(source), std::move(own));
        }
        return std::make_unique<InterleaveIterator>(std::move(source), std::move(own));
      },
      []() -> int64_t { return -1; });
}

DatasetPtr flat_map(DatasetPtr elements, FlatMapFunction function) {
  return interleave(std::move(elements), std::move(function), 1);
}

}  // namespace tenon::data
