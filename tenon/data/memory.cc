// Rows in memory, and the cache that puts them there.
#include "tenon/data/dataset.h"

namespace tenon::data {

namespace {

class ColumnsIterator final : public Iterator {
 public:
  explicit ColumnsIterator(const Element& columns) : columns_(columns) {}
  StatusOr<bool> next(Element& element) override {
    if (row_ == columns_[0].dim(0)) return false;
    element.resize(columns_.size());
    for (size_t i = 0; i < columns_.size(); ++i) {
      const Tensor row = columns_[i].slice(row_, 1);
      element[i] = row.reshaped(Shape(row.shape().dims().subspan(1)));
    }
    ++row_;
    return true;
  }

 private:
  const Element& columns_;
  int64_t row_ = 0;
};

class ColumnsDataset final : public Dataset {
 public:
  explicit ColumnsDataset(Element columns) : columns_(std::move(columns)) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t) const override {
    return std::make_unique<ColumnsIterator>(columns_);
  }
  int64_t size() const override { return columns_[0].dim(0); }
  std::optional<Columns> columns(uint64_t) const override { return Columns{&columns_, {}}; }

 private:
  Element columns_;
};

// What a cache has kept; filled by the first iterator that reaches the end.
struct Kept {
  std::mutex mutex;
  std::shared_ptr<const std::vector<Element>> elements;
};

class KeptIterator final : public Iterator {
 public:
  explicit KeptIterator(std::shared_ptr<const std::vector<Element>> elements)
      : elements_(std::move(elements)) {}
  StatusOr<bool> next(Element& element) override {
    if (at_ == elements_->size()) return false;
    element = (*elements_)[at_++];
    return true;
  }

 private:
  std::shared_ptr<const std::vector<Element>> elements_;
  size_t at_ = 0;
};

class KeepingIterator final : public Iterator {
 public:
  KeepingIterator(std::unique_ptr<Iterator> source, std::shared_ptr<Kept> kept)
      : source_(std::move(source)), kept_(std::move(kept)) {}
  StatusOr<bool> next(Element& element) override {
    Element fresh;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(fresh));
    if (!more) {
      const std::lock_guard<std::mutex> lock(kept_->mutex);
      if (!kept_->elements) {
        kept_->elements = std::make_shared<const std::vector<Element>>(std::move(elements_));
      }
      return false;
    }
    for (Tensor& tensor : fresh) tensor = tensor.keep();
    element = fresh;
    elements_.push_back(std::move(fresh));
    return true;
  }

 private:
  std::unique_ptr<Iterator> source_;
  std::shared_ptr<Kept> kept_;
  std::vector<Element> elements_;
};

class CacheDataset final : public Dataset {
 public:
  explicit CacheDataset(DatasetPtr source) : source_(std::move(source)) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t epoch) const override {
    std::shared_ptr<const std::vector<Element>> elements;
    {
      const std::lock_guard<std::mutex> lock(kept_->mutex);
      elements = kept_->elements;
    }
    if (elements) return std::make_unique<KeptIterator>(std::move(elements));
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, source_->iterate(epoch));
    return std::make_unique<KeepingIterator>(std::move(source), kept_);
  }
  int64_t size() const override { return source_->size(); }
  std::optional<Columns> columns(uint64_t epoch) const override { return source_->columns(epoch); }

 private:
  DatasetPtr source_;
  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

}  // namespace

StatusOr<DatasetPtr> from_tensors(Element columns) {
  if (columns.empty()) return invalid_argument("a dataset needs a tensor");
  for (const Tensor& column : columns) {
    if (column.rank() == 0) return invalid_argument("a scalar has no rows");
    if (column.dim(0) != columns[0].dim(0)) {
      return invalid_argument("data cardinality is ambiguous: ", columns[0].dim(0), " rows and ",
                              column.dim(0), " rows");
    }
  }
  return std::make_shared<ColumnsDataset>(std::move(columns));
}

DatasetPtr cache(DatasetPtr elements) {
  return std::make_shared<CacheDataset>(std::move(elements));
}

}  // namespace tenon::data
