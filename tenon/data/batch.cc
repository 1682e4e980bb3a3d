#include <cstring>

#include "tenon/data/dataset_of.h"
#include "tenon/data/stack.h"

namespace tenon::data {

namespace {

// Copies rows `rows` of `column` to `out`.
void gather(const Tensor& column, std::span<const int64_t> rows, Tensor& out) {
  const size_t bytes =
      column.num_bytes() / static_cast<size_t>(std::max<int64_t>(1, column.dim(0)));
  const char* from = static_cast<const char*>(column.raw());
  char* to = static_cast<char*>(out.mutable_raw());
  for (int64_t row : rows) {
    std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
    to += bytes;
  }
}

void gather_objects(const Tensor& column, std::span<const int64_t> rows, Tensor& out) {
  const int64_t each = column.num_elements() / std::max<int64_t>(1, column.dim(0));
  auto* to = out.mutable_data<Ref<Object>>();
  for (int64_t row : rows) to = std::copy_n(column.data<Ref<Object>>() + row * each, each, to);
}

Status gather_strings(const Tensor& column, std::span<const int64_t> rows, const Shape& shape,
                      Tensor& out) {
  StringTensorBuilder builder(shape);
  builder.share(column);
  const int64_t each = column.num_elements() / std::max<int64_t>(1, column.dim(0));
  int64_t at = 0;
  for (int64_t row : rows) {
    for (int64_t i = 0; i < each; ++i) {
      builder.set_view(at++, column.data<std::string_view>()[row * each + i]);
    }
  }
  out = std::move(builder).build();
  return absl::OkStatus();
}

// Batches of rows that lie in memory.
class ColumnBatches final : public Iterator {
 public:
  ColumnBatches(Columns columns, int64_t size, bool drop, DatasetPtr owner)
      : columns_(std::move(columns)),
        rows_((*columns_.values)[0].dim(0)),
        size_(size),
        drop_(drop),
        owner_(std::move(owner)) {}
  StatusOr<bool> next(Element& element) override {
    const int64_t count = std::min(size_, rows_ - at_);
    if (count <= 0 || (drop_ && count < size_)) return false;
    element.resize(columns_.values->size());
    for (size_t i = 0; i < element.size(); ++i) {
      const Tensor& column = (*columns_.values)[i];
      if (columns_.order.empty()) {
        element[i] = column.slice(at_, count);
        continue;
      }
      const Shape shape = shape_of_rows(count, column.shape().dims().subspan(1));
      const std::span<const int64_t> rows =
          std::span(columns_.order).subspan(static_cast<size_t>(at_), static_cast<size_t>(count));
      if (column.dtype() == DType::kString) {
        TENON_RETURN_IF_ERROR(gather_strings(column, rows, shape, element[i]));
        continue;
      }
      TENON_RETURN_IF_ERROR(make_room(element[i], column.dtype(), shape));
      if (is_object(column.dtype())) {
        gather_objects(column, rows, element[i]);
      } else {
        gather(column, rows, element[i]);
      }
    }
    at_ += count;
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    const int64_t left = rows_ - at_;
    const int64_t passed = std::min(count, drop_ ? left / size_ : (left + size_ - 1) / size_);
    at_ += std::min(left, passed * size_);
    return passed;
  }

 private:
  Columns columns_;
  int64_t rows_, size_;
  bool drop_;
  DatasetPtr owner_;  // of the columns
  int64_t at_ = 0;
};

class RowBatches final : public Iterator {
 public:
  RowBatches(std::unique_ptr<Iterator> rows, int64_t size, bool drop)
      : rows_(std::move(rows)), size_(static_cast<size_t>(size)), drop_(drop) {}
  StatusOr<bool> next(Element& element) override {
    std::vector<Element> rows;
    while (rows.size() < size_) {
      Element row;
      TENON_ASSIGN_OR_RETURN(const bool more, rows_->next(row));
      if (!more) break;
      rows.push_back(std::move(row));
    }
    if (rows.empty() || (drop_ && rows.size() < size_)) return false;
    TENON_RETURN_IF_ERROR(stack(rows, element));
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    TENON_ASSIGN_OR_RETURN(const int64_t rows,
                           rows_->skip(saturated_product(count, static_cast<int64_t>(size_))));
    const int64_t whole = rows / static_cast<int64_t>(size_);
    return whole + (!drop_ && rows % static_cast<int64_t>(size_) ? 1 : 0);
  }

 private:
  std::unique_ptr<Iterator> rows_;
  size_t size_;
  bool drop_;
};

class BatchDataset final : public Dataset {
 public:
  BatchDataset(DatasetPtr rows, int64_t size, bool drop)
      : rows_(std::move(rows)), size_(std::max<int64_t>(1, size)), drop_(drop) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t epoch) const override {
    if (std::optional<Columns> columns = rows_->columns(epoch)) {
      return std::make_unique<ColumnBatches>(*std::move(columns), size_, drop_, rows_);
    }
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> rows, rows_->iterate(epoch));
    return std::make_unique<RowBatches>(std::move(rows), size_, drop_);
  }
  int64_t size() const override {
    const int64_t rows = rows_->size();
    return rows < 0 ? -1 : (drop_ ? rows / size_ : (rows + size_ - 1) / size_);
  }

 private:
  DatasetPtr rows_;
  int64_t size_;
  bool drop_;
};

}  // namespace

DatasetPtr batch(DatasetPtr rows, int64_t size, bool drop_remainder) {
  return std::make_shared<BatchDataset>(std::move(rows), size, drop_remainder);
}

}  // namespace tenon::data
