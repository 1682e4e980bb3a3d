// Steps that choose among elements and do not look into them: take, skip, repeat, shard, zip,
// concatenate; and those that look: filter, take_while.
#include "tenon/data/dataset_of.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

class TakeIterator final : public Iterator {
 public:
  TakeIterator(std::unique_ptr<Iterator> source, int64_t count)
      : source_(std::move(source)), left_(count) {}
  StatusOr<bool> next(Element& element) override {
    if (left_ == 0) return false;
    --left_;
    return source_->next(element);
  }
  StatusOr<int64_t> skip(int64_t count) override {
    TENON_ASSIGN_OR_RETURN(const int64_t passed, source_->skip(std::min(count, left_)));
    left_ -= passed;
    return passed;
  }

 private:
  std::unique_ptr<Iterator> source_;
  int64_t left_;
};

class RepeatIterator final : public Iterator {
 public:
  RepeatIterator(DatasetPtr source, int64_t count, uint64_t epoch)
      : source_(std::move(source)),
        count_(count),
        // TensorFlow's RepeatDataset makes an iterator more behind its last pass, unless there is
        // one pass and so no RepeatDataset: what shuffles counts them.
        epoch_(count > 1 ? epoch * (static_cast<uint64_t>(count) + 1) : epoch) {}
  StatusOr<bool> next(Element& element) override {
    for (;;) {
      TENON_ASSIGN_OR_RETURN(const bool any, open());
      if (!any) return false;
      TENON_ASSIGN_OR_RETURN(const bool more, pass_->next(element));
      if (more) return begun_ = true;
      if (!close()) return false;
    }
  }
  StatusOr<int64_t> skip(int64_t count) override {
    int64_t left = count;
    while (left > 0) {
      // Whole passes need not be gone through where their size is known.
      if (const int64_t size = source_->size(); !pass_ && size > 0) {
        const int64_t whole = count_ < 0 ? left / size : std::min(left / size, count_ - done_);
        done_ += whole;
        left -= whole * size;
        if (left == 0) break;
      }
      TENON_ASSIGN_OR_RETURN(const bool any, open());
      if (!any) break;
      TENON_ASSIGN_OR_RETURN(const int64_t passed, pass_->skip(left));
      begun_ = begun_ || passed > 0;
      left -= passed;
      if (left > 0 && !close()) break;
    }
    return count - left;
  }

 private:
  // A pass to read from; false after the last.
  StatusOr<bool> open() {
    if (pass_) return true;
    if (count_ >= 0 && done_ == count_) return false;
    begun_ = false;
    TENON_ASSIGN_OR_RETURN(pass_, source_->iterate(epoch_ + static_cast<uint64_t>(done_)));
    return true;
  }
  // Ends the pass; false when it had no elements, and so nor will the next.
  bool close() {
    pass_ = nullptr;
    ++done_;
    return begun_;
  }

  DatasetPtr source_;
  int64_t count_;
  uint64_t epoch_;  // of the first pass
  int64_t done_ = 0;
  std::unique_ptr<Iterator> pass_;
  bool begun_ = false;  // has this pass given an element?
};

class ShardIterator final : public Iterator {
 public:
  ShardIterator(std::unique_ptr<Iterator> source, int64_t shards, int64_t index)
      : source_(std::move(source)), shards_(shards), gap_(index) {}
  StatusOr<bool> next(Element& element) override {
    if (gap_ > 0) {
      TENON_ASSIGN_OR_RETURN(const int64_t passed, source_->skip(gap_));
      if (passed < gap_) return false;
    }
    gap_ = shards_ - 1;
    return source_->next(element);
  }
  StatusOr<int64_t> skip(int64_t count) override {
    if (count == 0) return 0;
    const int64_t last = saturated_sum(saturated_product(count - 1, shards_), gap_);
    TENON_ASSIGN_OR_RETURN(const int64_t passed, source_->skip(saturated_sum(last, 1)));
    const int64_t ours = passed <= gap_ ? 0 : (passed - gap_ - 1) / shards_ + 1;
    gap_ = shards_ - 1;
    return ours;
  }

 private:
  std::unique_ptr<Iterator> source_;
  int64_t shards_;
  int64_t gap_;  // elements of others before the next of ours
};

class ZipIterator final : public Iterator {
 public:
  explicit ZipIterator(std::vector<std::unique_ptr<Iterator>> sources)
      : sources_(std::move(sources)) {}
  StatusOr<bool> next(Element& element) override {
    Element whole;
    for (const auto& source : sources_) {
      Element part;
      TENON_ASSIGN_OR_RETURN(const bool more, source->next(part));
      if (!more) return false;
      std::move(part.begin(), part.end(), std::back_inserter(whole));
    }
    element = std::move(whole);
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    int64_t least = count;
    for (const auto& source : sources_) {
      TENON_ASSIGN_OR_RETURN(const int64_t passed, source->skip(count));
      least = std::min(least, passed);
    }
    return least;
  }

 private:
  std::vector<std::unique_ptr<Iterator>> sources_;
};

class ConcatenateIterator final : public Iterator {
 public:
  ConcatenateIterator(std::unique_ptr<Iterator> first, DatasetPtr second, uint64_t epoch)
      : now_(std::move(first)), second_(std::move(second)), epoch_(epoch) {}
  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, now_->next(element));
    if (more || !second_) return more;
    TENON_RETURN_IF_ERROR(go_on());
    return now_->next(element);
  }
  StatusOr<int64_t> skip(int64_t count) override {
    TENON_ASSIGN_OR_RETURN(const int64_t passed, now_->skip(count));
    if (passed == count || !second_) return passed;
    TENON_RETURN_IF_ERROR(go_on());
    TENON_ASSIGN_OR_RETURN(const int64_t more, now_->skip(count - passed));
    return passed + more;
  }

 private:
  Status go_on() {
    TENON_ASSIGN_OR_RETURN(now_, second_->iterate(epoch_));
    second_ = nullptr;
    return absl::OkStatus();
  }

  std::unique_ptr<Iterator> now_;
  DatasetPtr second_;  // null once it is being read
  uint64_t epoch_;
};

class FilterIterator final : public Iterator {
 public:
  FilterIterator(std::unique_ptr<Iterator> source, Predicate predicate)
      : source_(std::move(source)), predicate_(std::move(predicate)) {}
  StatusOr<bool> next(Element& element) override {
    for (;;) {
      TENON_ASSIGN_OR_RETURN(const bool more, source_->next(element));
      if (!more) return false;
      TENON_ASSIGN_OR_RETURN(const bool kept, predicate_(element));
      if (kept) return true;
    }
  }

 private:
  std::unique_ptr<Iterator> source_;
  Predicate predicate_;
};

class TakeWhileIterator final : public Iterator {
 public:
  TakeWhileIterator(std::unique_ptr<Iterator> source, Predicate predicate)
      : source_(std::move(source)), predicate_(std::move(predicate)) {}
  StatusOr<bool> next(Element& element) override {
    if (ended_) return false;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(element));
    ended_ = !more;
    if (ended_) return false;
    TENON_ASSIGN_OR_RETURN(const bool kept, predicate_(element));
    ended_ = !kept;
    return kept;
  }

 private:
  std::unique_ptr<Iterator> source_;
  Predicate predicate_;
  bool ended_ = false;
};

}  // namespace

DatasetPtr take(DatasetPtr elements, int64_t count) {
  if (count < 0) return elements;
  return dataset_of(
      [elements, count](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<TakeIterator>(std::move(source), count);
      },
      [elements, count] {
        const int64_t size = elements->size();
        return size < 0 ? (count == 0 ? 0 : size) : std::min(size, count);
      });
}

DatasetPtr skip(DatasetPtr elements, int64_t count) {
  if (count < 0) return take(std::move(elements), 0);
  return dataset_of(
      [elements, count](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        TENON_RETURN_IF_ERROR(source->skip(count).status());
        return source;
      },
      [elements, count] {
        const int64_t size = elements->size();
        return size < 0 ? size : size - std::min(size, count);
      });
}

DatasetPtr repeat(DatasetPtr elements, int64_t count) {
  return dataset_of(
      [elements, count](uint64_t epoch) -> IteratorOr {
        return std::make_unique<RepeatIterator>(elements, count, epoch);
      },
      [elements, count]() -> int64_t {
        const int64_t size = elements->size();
        if (size == 0 || count == 0) return 0;
        return size < 0 || count < 0 ? -1 : saturated_product(size, count);
      });
}

StatusOr<DatasetPtr> shard(DatasetPtr elements, int64_t shards, int64_t index) {
  if (index < 0 || index >= shards) {
    return invalid_argument("shard ", index, " of ", shards, ": expected 0 to ", shards - 1);
  }
  return dataset_of(
      [elements, shards, index](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<ShardIterator>(std::move(source), shards, index);
      },
      [elements, shards, index]() -> int64_t {
        const int64_t size = elements->size();
        return size < 0 ? size : size <= index ? 0 : (size - index - 1) / shards + 1;
      });
}

StatusOr<DatasetPtr> zip(std::vector<DatasetPtr> datasets) {
  if (datasets.empty()) return invalid_argument("zip needs a dataset");
  return dataset_of(
      [datasets](uint64_t epoch) -> IteratorOr {
        std::vector<std::unique_ptr<Iterator>> sources;
        for (const DatasetPtr& dataset : datasets) {
          TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, dataset->iterate(epoch));
          sources.push_back(std::move(source));
        }
        return std::make_unique<ZipIterator>(std::move(sources));
      },
      [datasets] {
        int64_t least = datasets[0]->size();
        for (const DatasetPtr& dataset : datasets) least = std::min(least, dataset->size());
        return least;
      });
}

DatasetPtr concatenate(DatasetPtr first, DatasetPtr second) {
  return dataset_of(
      [first, second](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, first->iterate(epoch));
        return std::make_unique<ConcatenateIterator>(std::move(source), second, epoch);
      },
      [first, second]() -> int64_t {
        const int64_t a = first->size(), b = second->size();
        return a < 0 || b < 0 ? -1 : saturated_sum(a, b);
      });
}

DatasetPtr filter(DatasetPtr elements, Predicate predicate) {
  return dataset_of(
      [elements, predicate = std::move(predicate)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<FilterIterator>(std::move(source), predicate);
      },
      []() -> int64_t { return -1; });
}

DatasetPtr take_while(DatasetPtr elements, Predicate predicate) {
  return dataset_of(
      [elements, predicate = std::move(predicate)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<TakeWhileIterator>(std::move(source), predicate);
      },
      []() -> int64_t { return -1; });
}

}  // namespace tenon::data
