#include "tenon/data/dataset_of.h"
#include "tenon/data/stack.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

Status pad(std::span<const Element> rows, const Padding& padding, Element& batch) {
  TENON_RETURN_IF_ERROR(check_components(rows));
  const size_t components = rows[0].size();
  if ((!padding.shapes.empty() && padding.shapes.size() != components) ||
      (!padding.values.empty() && padding.values.size() != components)) {
    return invalid_argument("padding of ", padding.shapes.size(), " shapes and ",
                            padding.values.size(), " values for rows of ", components,
                            " components");
  }
  batch.resize(components);
  for (size_t i = 0; i < components; ++i) {
    TENON_RETURN_IF_ERROR(
        stack_padded(rows, i, padding.shapes.empty() ? PartialShape() : padding.shapes[i],
                     padding.values.empty() ? Tensor() : padding.values[i], batch[i]));
  }
  return absl::OkStatus();
}

class PaddedBatchIterator final : public Iterator {
 public:
  PaddedBatchIterator(std::unique_ptr<Iterator> rows, int64_t size, Padding padding)
      : rows_(std::move(rows)), size_(size), padding_(std::move(padding)) {}
  StatusOr<bool> next(Element& element) override {
    std::vector<Element> rows;
    while (static_cast<int64_t>(rows.size()) < size_) {
      Element row;
      TENON_ASSIGN_OR_RETURN(const bool more, rows_->next(row));
      if (!more) break;
      rows.push_back(std::move(row));
    }
    const bool whole = static_cast<int64_t>(rows.size()) == size_;
    if (rows.empty() || (padding_.drop_remainder && !whole)) return false;
    TENON_RETURN_IF_ERROR(pad(rows, padding_, element));
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    TENON_ASSIGN_OR_RETURN(const int64_t rows, rows_->skip(saturated_product(count, size_)));
    return rows / size_ + (!padding_.drop_remainder && rows % size_ ? 1 : 0);
  }

 private:
  std::unique_ptr<Iterator> rows_;
  int64_t size_;
  Padding padding_;
};

class BucketIterator final : public Iterator {
 public:
  BucketIterator(std::unique_ptr<Iterator> rows, LengthFunction length, const Buckets& buckets)
      : rows_(std::move(rows)),
        length_(std::move(length)),
        buckets_(buckets),
        held_(buckets.batch_sizes.size()) {}
  StatusOr<bool> next(Element& element) override {
    while (!ended_) {
      Element row;
      TENON_ASSIGN_OR_RETURN(const bool more, rows_->next(row));
      if (!more) {
        ended_ = true;
        break;
      }
      TENON_ASSIGN_OR_RETURN(const size_t bucket, bucket_of(row));
      held_[bucket].push_back(std::move(row));
      if (static_cast<int64_t>(held_[bucket].size()) == buckets_.batch_sizes[bucket]) {
        return give(bucket, element);
      }
    }
    if (buckets_.padding.drop_remainder) return false;
    while (flushed_ < held_.size() && held_[flushed_].empty()) ++flushed_;
    if (flushed_ == held_.size()) return false;
    return give(flushed_, element);
  }

 private:
  StatusOr<size_t> bucket_of(const Element& row) const {
    TENON_ASSIGN_OR_RETURN(const int64_t length, length_(row));
    const std::vector<int64_t>& bounds = buckets_.boundaries;
    const auto bucket = static_cast<size_t>(std::upper_bound(bounds.begin(), bounds.end(), length) -
                                            bounds.begin());
    if (buckets_.pad_to_boundary && bucket == bounds.size()) {
      return invalid_argument("a row of length ", length, " cannot be padded to a boundary: the ",
                              "last is ", bounds.empty() ? 0 : bounds.back());
    }
    return bucket;
  }
  StatusOr<bool> give(size_t bucket, Element& element) {
    const std::vector<Element> rows = std::exchange(held_[bucket], {});
    Padding padding = buckets_.padding;
    if (buckets_.pad_to_boundary) {
      // Every dimension that is not given has the greatest length of the bucket.
      const int64_t to = buckets_.boundaries[bucket] - 1;
      if (padding.shapes.empty()) {
        for (const Tensor& tensor : rows[0]) {
          padding.shapes.push_back(PartialShape::unknown_of_rank(tensor.rank()));
        }
      }
      for (PartialShape& shape : padding.shapes) {
        for (int axis = 0; axis < shape.rank(); ++axis) {
          if (shape[axis] < 0) shape.set(axis, to);
        }
      }
    }
    TENON_RETURN_IF_ERROR(pad(rows, padding, element));
    return true;
  }

  std::unique_ptr<Iterator> rows_;
  LengthFunction length_;
  Buckets buckets_;
  std::vector<std::vector<Element>> held_;
  size_t flushed_ = 0;  // buckets that are empty for good, at the end
  bool ended_ = false;
};

}  // namespace

DatasetPtr padded_batch(DatasetPtr rows, int64_t size, Padding padding) {
  size = std::max<int64_t>(1, size);
  const bool drop = padding.drop_remainder;
  return dataset_of(
      [rows, size, padding = std::move(padding)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, rows->iterate(epoch));
        return std::make_unique<PaddedBatchIterator>(std::move(source), size, padding);
      },
      [rows, size, drop]() -> int64_t {
        const int64_t count = rows->size();
        return count < 0 ? -1 : count / size + (!drop && count % size ? 1 : 0);
      });
}

StatusOr<DatasetPtr> bucket_by_length(DatasetPtr rows, LengthFunction length, Buckets buckets) {
  const std::vector<int64_t>& bounds = buckets.boundaries;
  if (bounds.empty() || bounds[0] < 1 ||
      std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) != bounds.end()) {
    return invalid_argument("bucket boundaries ", join(bounds, ", "),
                            ": expected ascending lengths above 0");
  }
  const std::vector<int64_t>& sizes = buckets.batch_sizes;
  if (sizes.size() != bounds.size() + 1 ||
      std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 1; })) {
    return invalid_argument("batch sizes ", join(sizes, ", "), " for ", bounds.size(),
                            " boundaries: expected one more, each 1 or more");
  }
  return dataset_of(
      [rows, length = std::move(length),
       buckets = std::move(buckets)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, rows->iterate(epoch));
        return std::make_unique<BucketIterator>(std::move(source), length, buckets);
      },
      []() -> int64_t { return -1; });
}

}  // namespace tenon::data
