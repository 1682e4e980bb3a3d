// Windows over elements, and the way back from batches to rows.
#include <deque>

#include "tenon/data/dataset_of.h"
#include "tenon/data/dataset_value.h"
#include "tenon/data/stack.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

// Makes one element of a window's.
using Join = Status (*)(std::span<const Element> rows, Element& window);

// For each component a dataset of what the window holds of it.
Status join_as_datasets(std::span<const Element> rows, Element& window) {
  TENON_RETURN_IF_ERROR(check_components(rows));
  window.resize(rows[0].size());
  for (size_t i = 0; i < window.size(); ++i) {
    std::vector<Element> held;
    for (const Element& row : rows) held.push_back({row[i]});
    window[i] = dataset_tensor(dataset_of_elements(std::move(held)));
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
