// Rows and elements in memory.
#include "tenon/data/dataset_of.h"

namespace tenon::data {

namespace {

class ColumnsIterator final : public Iterator {
 public:
  ColumnsIterator(Columns columns, DatasetPtr owner)
      : columns_(std::move(columns)),
        rows_((*columns_.values)[0].dim(0)),
        owner_(std::move(owner)) {}
  StatusOr<bool> next(Element& element) override {
    if (at_ == rows_) return false;
    const int64_t from = columns_.order.empty() ? at_ : columns_.order[static_cast<size_t>(at_)];
    element.resize(columns_.values->size());
    for (size_t i = 0; i < element.size(); ++i) {
      const Tensor row = (*columns_.values)[i].slice(from, 1);
      element[i] = row.reshaped(Shape(row.shape().dims().subspan(1)));
    }
    ++at_;
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    const int64_t passed = std::min(count, rows_ - at_);
    at_ += passed;
    return passed;
  }

 private:
  Columns columns_;
  int64_t rows_;
  DatasetPtr owner_;  // of the columns
  int64_t at_ = 0;
};

class ElementsIterator final : public Iterator {
 public:
  explicit ElementsIterator(std::shared_ptr<const std::vector<Element>> elements)
      : elements_(std::move(elements)) {}
  StatusOr<bool> next(Element& element) override {
    if (at_ == elements_->size()) return false;
    element = (*elements_)[at_++];
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    const auto left = static_cast<int64_t>(elements_->size() - at_);
    at_ += static_cast<size_t>(std::min(count, left));
    return std::min(count, left);
  }

 private:
  std::shared_ptr<const std::vector<Element>> elements_;
  size_t at_ = 0;
};

class ColumnsDataset final : public Dataset, public std::enable_shared_from_this<ColumnsDataset> {
 public:
  explicit ColumnsDataset(Element columns) : columns_(std::move(columns)) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t) const override {
    return iterate_columns({&columns_, {}}, shared_from_this());
  }
  int64_t size() const override { return columns_[0].dim(0); }
  std::optional<Columns> columns(uint64_t) const override { return Columns{&columns_, {}}; }

 private:
  Element columns_;
};

}  // namespace

std::unique_ptr<Iterator> iterate_columns(Columns columns, DatasetPtr owner) {
  return std::make_unique<ColumnsIterator>(std::move(columns), std::move(owner));
}

std::unique_ptr<Iterator> iterate_elements(std::shared_ptr<const std::vector<Element>> elements) {
  return std::make_unique<ElementsIterator>(std::move(elements));
}

DatasetPtr dataset_of_elements(std::vector<Element> elements) {
  const auto held = std::make_shared<const std::vector<Element>>(std::move(elements));
  return dataset_of([held](uint64_t) -> IteratorOr { return iterate_elements(held); },
                    [held] { return static_cast<int64_t>(held->size()); });
}

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

}  // namespace tenon::data
