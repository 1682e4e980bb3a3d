// Steps that read several datasets, or an element several times: flat_map, interleave, window;
// and unbatch.
#include <deque>

#include "tenon/data/dataset_of.h"
#include "tenon/data/dataset_value.h"
#include "tenon/data/stack.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

class InterleaveIterator final : public Iterator {
 public:
  InterleaveIterator(std::unique_ptr<Iterator> source, FlatMapFunction function,
                     int64_t cycle_length, int64_t block_length, uint64_t epoch)
      : source_(std::move(source)),
        function_(std::move(function)),
        cycle_length_(static_cast<size_t>(cycle_length)),
        block_length_(block_length),
        epoch_(epoch) {}
  StatusOr<bool> next(Element& element) override {
    // Places of the cycle are made as datasets come, so that a long one costs nothing.
    while (!ended_ || open_ > 0) {
      if (at_ < cycle_.size() && cycle_[at_]) {
        TENON_ASSIGN_OR_RETURN(const bool more, cycle_[at_]->next(element));
        if (more) {
          if (++taken_ == block_length_) advance();
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
    at_ = at_ + 1 >= (ended_ ? cycle_.size() : cycle_length_) ? 0 : at_ + 1;
  }
  // The next dataset at this place of the cycle.
  Status open() {
    Element element;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(element));
    if (!more) {
      ended_ = true;
      return absl::OkStatus();
    }
    TENON_ASSIGN_OR_RETURN(const DatasetPtr dataset, function_(element));
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> iterator, dataset->iterate(epoch_));
    if (at_ == cycle_.size()) cycle_.emplace_back();
    cycle_[at_] = std::move(iterator);
    ++open_;
    return absl::OkStatus();
  }

  std::unique_ptr<Iterator> source_;
  FlatMapFunction function_;
  size_t cycle_length_;
  int64_t block_length_;
  uint64_t epoch_;
  std::vector<std::unique_ptr<Iterator>> cycle_;
  size_t at_ = 0;      // place of the cycle
  int64_t taken_ = 0;  // elements of this block
  size_t open_ = 0;    // places that hold an iterator
  bool ended_ = false;
};

// Makes one element of a window's.
using Join = Status (*)(std::span<const Element> rows, Element& window);

// For each component a dataset of what the window holds of it.
Status join_as_datasets(std::span<const Element> rows, Element& window) {
  TENON_RETURN_IF_ERROR(check_components(rows));
  window.resize(rows[0].size());
  for (size_t i = 0; i < window.size(); ++i) {
    auto held = std::make_shared<std::vector<Element>>();
    for (const Element& row : rows) held->push_back({row[i]});
    const auto size = static_cast<int64_t>(held->size());
    window[i] = dataset_tensor(
        dataset_of([held = std::shared_ptr<const std::vector<Element>>(std::move(held))](
                       uint64_t) -> IteratorOr { return iterate_elements(held); },
                   [size] { return size; }));
  }
  return absl::OkStatus();
}

class WindowIterator final : public Iterator {
 public:
  WindowIterator(std::unique_ptr<Iterator> source, int64_t size, int64_t shift, int64_t stride,
                 bool drop, Join join)
      : source_(std::move(source)),
        size_(size),
        shift_(shift),
        stride_(stride),
        drop_(drop),
        join_(join) {}
  StatusOr<bool> next(Element& element) override {
    const int64_t span = saturated_sum(saturated_product(size_ - 1, stride_), 1);
    if (gap_ > 0) {
      TENON_ASSIGN_OR_RETURN(const int64_t passed, source_->skip(gap_));
      ended_ = ended_ || passed < gap_;
      gap_ = 0;
    }
    while (!ended_ && static_cast<int64_t>(held_.size()) < span) {
      Element fresh;
      TENON_ASSIGN_OR_RETURN(const bool more, source_->next(fresh));
      if (more) {
        held_.push_back(std::move(fresh));
      } else {
        ended_ = true;
      }
    }
    if (held_.empty() || (drop_ && static_cast<int64_t>(held_.size()) < span)) return false;
    std::vector<Element> rows;
    for (size_t i = 0; i < held_.size() && static_cast<int64_t>(rows.size()) < size_;
         i += static_cast<size_t>(stride_)) {
      rows.push_back(held_[i]);
    }
    TENON_RETURN_IF_ERROR(join_(rows, element));
    const int64_t leaving = std::min(shift_, static_cast<int64_t>(held_.size()));
    held_.erase(held_.begin(), held_.begin() + leaving);
    gap_ = shift_ - leaving;
    return true;
  }

 private:
  std::unique_ptr<Iterator> source_;
  int64_t size_, shift_, stride_;
  bool drop_;
  Join join_;
  std::deque<Element> held_;  // from the first of the next window on
  int64_t gap_ = 0;           // elements before it that no window holds
  bool ended_ = false;
};

DatasetPtr windows_joined(DatasetPtr elements, int64_t size, int64_t shift, int64_t stride,
                          bool drop_remainder, Join join) {
  size = std::max<int64_t>(1, size);
  if (shift <= 0) shift = size;
  stride = std::max<int64_t>(1, stride);
  const int64_t span = saturated_sum(saturated_product(size - 1, stride), 1);
  return dataset_of(
      [=](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<WindowIterator>(std::move(source), size, shift, stride,
                                                drop_remainder, join);
      },
      [=]() -> int64_t {
        const int64_t count = elements->size();
        if (count <= 0) return count;
        if (!drop_remainder) return (count - 1) / shift + 1;
        return count < span ? 0 : (count - span) / shift + 1;
      });
}

class UnbatchIterator final : public Iterator {
 public:
  explicit UnbatchIterator(std::unique_ptr<Iterator> batches) : batches_(std::move(batches)) {}
  StatusOr<bool> next(Element& element) override {
    while (at_ == rows_) {
      TENON_ASSIGN_OR_RETURN(const bool more, batches_->next(batch_));
      if (!more) return false;
      TENON_RETURN_IF_ERROR(begin());
    }
    element.resize(batch_.size());
    for (size_t i = 0; i < element.size(); ++i) {
      const Tensor row = batch_[i].slice(at_, 1);
      element[i] = row.reshaped(Shape(row.shape().dims().subspan(1)));
    }
    ++at_;
    return true;
  }

 private:
  Status begin() {
    at_ = rows_ = 0;
    for (const Tensor& tensor : batch_) {
      if (tensor.rank() == 0) return invalid_argument("a scalar cannot be taken apart into rows");
      if (tensor.dim(0) != batch_[0].dim(0)) {
        return invalid_argument("components of ", batch_[0].dim(0), " and of ", tensor.dim(0),
                                " rows cannot be taken apart together");
      }
    }
    rows_ = batch_.empty() ? 0 : batch_[0].dim(0);
    return absl::OkStatus();
  }

  std::unique_ptr<Iterator> batches_;
  Element batch_;
  int64_t at_ = 0, rows_ = 0;  // of batch_
};

}  // namespace

DatasetPtr interleave(DatasetPtr elements, FlatMapFunction function, int64_t cycle_length,
                      int64_t block_length) {
  return dataset_of(
      [elements, function = std::move(function), cycle = std::max<int64_t>(1, cycle_length),
       block = std::max<int64_t>(1, block_length)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<InterleaveIterator>(std::move(source), function, cycle, block,
                                                    epoch);
      },
      []() -> int64_t { return -1; });
}

DatasetPtr flat_map(DatasetPtr elements, FlatMapFunction function) {
  return interleave(std::move(elements), std::move(function), 1);
}

DatasetPtr window(DatasetPtr elements, int64_t size, int64_t shift, int64_t stride,
                  bool drop_remainder) {
  return windows_joined(std::move(elements), size, shift, stride, drop_remainder, stack);
}

DatasetPtr windows(DatasetPtr elements, int64_t size, int64_t shift, int64_t stride,
                   bool drop_remainder) {
  return windows_joined(std::move(elements), size, shift, stride, drop_remainder, join_as_datasets);
}

DatasetPtr unbatch(DatasetPtr batches) {
  return dataset_of(
      [batches](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, batches->iterate(epoch));
        return std::make_unique<UnbatchIterator>(std::move(source));
      },
      []() -> int64_t { return -1; });
}

}  // namespace tenon::data
