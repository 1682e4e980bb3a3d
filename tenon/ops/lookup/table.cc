#include "tenon/ops/lookup/table.h"

#include <cstring>

namespace tenon {
namespace {

// Keys that `entries` may hold are read as one of these.
bool has_number_keys(const TableType& type) { return type.key != DType::kString; }

}  // namespace

StatusOr<Ref<Object>> LookupTable::create(TableType type) {
  if (type.key != DType::kString && type.key != DType::kInt32 && type.key != DType::kInt64) {
    return unimplemented("there are no tables with keys of dtype ", type.key);
  }
  if (type.value == DType::kResource || type.value == DType::kVariant) {
    return unimplemented("there are no tables with values of dtype ", type.value);
  }
  return Ref<Object>(make_ref<LookupTable>(std::move(type)));
}

LookupTable::LookupTable(TableType type)
    : type_(std::move(type)), value_elements_(type_.value_shape.num_elements()) {}

int64_t LookupTable::size() const {
  std::shared_lock lock(mutex_);
  return static_cast<int64_t>(has_number_keys(type_) ? number_keys_.size() : text_keys_.size());
}

Status LookupTable::check_entries(const Tensor& keys, const Tensor& values) const {
  if (keys.dtype() != type_.key || values.dtype() != type_.value) {
    return invalid_argument("Conflicting key/value dtypes ", keys.dtype(), "->", values.dtype(),
                            " with ", type_.key, "->", type_.value);
  }
  Shape expected = keys.shape();
  for (int64_t dim : type_.value_shape.dims()) expected.append(dim);
  if (values.shape() != expected) {
    return invalid_argument("Expected shape ", expected, " for value, got ", values.shape());
  }
  return absl::OkStatus();
}

int64_t LookupTable::row_of(const Tensor& keys, int64_t index) const {
  if (!has_number_keys(type_)) {
    const auto it = text_rows_.find(keys.data<std::string_view>()[index]);
    return it == text_rows_.end() ? -1 : it->second;
  }
  const auto it = number_rows_.find(integer_at(keys, index));
  return it == number_rows_.end() ? -1 : it->second;
}

void LookupTable::write_row(int64_t row, const Tensor& values, int64_t index) {
  if (type_.value == DType::kString) {
    const std::string_view* from = values.data<std::string_view>() + index * value_elements_;
    std::copy(from, from + value_elements_, text_values_.begin() + row * value_elements_);
    return;
  }
  const size_t bytes = static_cast<size_t>(value_elements_) * size_of(type_.value);
  if (bytes == 0) return;
  std::memcpy(values_.data() + static_cast<size_t>(row) * bytes,
              values.data<char>() + static_cast<size_t>(index) * bytes, bytes);
}

bool LookupTable::row_equals(int64_t row, const Tensor& values, int64_t index) const {
  if (type_.value == DType::kString) {
    const std::string_view* other = values.data<std::string_view>() + index * value_elements_;
    return std::equal(other, other + value_elements_, text_values_.begin() + row * value_elements_);
  }
  const size_t bytes = static_cast<size_t>(value_elements_) * size_of(type_.value);
  return bytes == 0 ||
         std::memcmp(values_.data() + static_cast<size_t>(row) * bytes,
                     values.data<char>() + static_cast<size_t>(index) * bytes, bytes) == 0;
}

void LookupTable::put(const Tensor& keys, const Tensor& values, int64_t index) {
  int64_t row = row_of(keys, index);
  if (row < 0) {
    if (has_number_keys(type_)) {
      const int64_t key = integer_at(keys, index);
      row = static_cast<int64_t>(number_keys_.size());
      number_keys_.push_back(key);
      number_rows_.emplace(key, row);
    } else {
      const std::string key(keys.data<std::string_view>()[index]);
      row = static_cast<int64_t>(text_keys_.size());
      text_keys_.push_back(key);
      text_rows_.emplace(key, row);
    }
    const auto elements = static_cast<size_t>((row + 1) * value_elements_);
    if (type_.value == DType::kString) {
      text_values_.resize(elements);
    } else {
      values_.resize(elements * size_of(type_.value));
    }
  }
  write_row(row, values, index);
}

// The last row takes the place of the erased one.
void LookupTable::erase_row(int64_t row) {
  const bool numbers = has_number_keys(type_);
  const auto last = static_cast<int64_t>(numbers ? number_keys_.size() : text_keys_.size()) - 1;
  const auto at = static_cast<size_t>(row), end = static_cast<size_t>(last);
  if (numbers) {
    number_rows_.erase(number_keys_[at]);
    if (row != last) number_rows_[number_keys_[end]] = row;
    number_keys_[at] = number_keys_[end];
    number_keys_.pop_back();
  } else {
    text_rows_.erase(text_keys_[at]);
    if (row != last) {
      text_rows_[text_keys_[end]] = row;
      text_keys_[at] = std::move(text_keys_[end]);
    }
    text_keys_.pop_back();
  }
  const auto elements = static_cast<size_t>(value_elements_);
  if (type_.value == DType::kString) {
    if (row != last) {
      std::move(text_values_.begin() + last * value_elements_, text_values_.end(),
                text_values_.begin() + row * value_elements_);
    }
    text_values_.resize(end * elements);
  } else {
    const size_t bytes = elements * size_of(type_.value);
    std::copy_n(values_.begin() + static_cast<int64_t>(end * bytes), bytes,
                values_.begin() + static_cast<int64_t>(at * bytes));
    values_.resize(end * bytes);
  }
}

void LookupTable::clear() {
  number_rows_.clear();
  text_rows_.clear();
  number_keys_.clear();
  text_keys_.clear();
  values_.clear();
  text_values_.clear();
}

StatusOr<Tensor> LookupTable::find(const Tensor& keys, const Tensor& fallback) const {
  if (keys.dtype() != type_.key || fallback.dtype() != type_.value) {
    return invalid_argument("Key and value must be of types ", type_.key, " and ", type_.value,
                            " but got ", keys.dtype(), " and ", fallback.dtype());
  }
  Shape shape = keys.shape();
  for (int64_t dim : type_.value_shape.dims()) shape.append(dim);
  const bool whole = fallback.shape() == shape;
  if (!whole && fallback.shape() != type_.value_shape) {
    return invalid_argument("Expected shape ", type_.value_shape, " or ", shape,
                            " for default value, got ", fallback.shape());
  }
  std::shared_lock lock(mutex_);
  if (!type_.is_mutable && !initialised_) return failed_precondition("Table not initialized.");
  const int64_t count = keys.num_elements();
  if (type_.value == DType::kString) {
    StringTensorBuilder builder(shape);
    builder.share(fallback);
    const std::string_view* otherwise = fallback.data<std::string_view>();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = row_of(keys, i);
      for (int64_t j = 0; j < value_elements_; ++j) {
        const int64_t to = i * value_elements_ + j;
        if (row >= 0) {
          builder.set(to, text_values_[static_cast<size_t>(row * value_elements_ + j)]);
        } else {
          builder.set_view(to, otherwise[whole ? to : j]);
        }
      }
    }
    return std::move(builder).build();
  }
  TENON_ASSIGN_OR_RETURN(Tensor values, Tensor::allocate(type_.value, shape));
  const size_t bytes = static_cast<size_t>(value_elements_) * size_of(type_.value);
  if (bytes == 0) return values;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = row_of(keys, i);
    const char* from = row >= 0
                           ? values_.data() + static_cast<size_t>(row) * bytes
                           : fallback.data<char>() + (whole ? static_cast<size_t>(i) : 0) * bytes;
    std::memcpy(values.mutable_data<char>() + static_cast<size_t>(i) * bytes, from, bytes);
  }
  return values;
}

Status LookupTable::initialise(const Tensor& keys, const Tensor& values) {
  if (type_.is_mutable) return insert(keys, values);
  TENON_RETURN_IF_ERROR(check_entries(keys, values));
  std::unique_lock lock(mutex_);
  const int64_t count = keys.num_elements();
  if (initialised_) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = row_of(keys, i);
      if (row < 0 || !row_equals(row, values, i)) {
        return failed_precondition("Table already initialized.");
      }
    }
    return absl::OkStatus();
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = row_of(keys, i);
    if (row >= 0 && !row_equals(row, values, i)) {
      clear();
      return failed_precondition("HashTable has different value for same key: entry ", i,
                                 " repeats the key of an earlier one");
    }
    if (row < 0) put(keys, values, i);
  }
  initialised_ = true;
  return absl::OkStatus();
}

Status LookupTable::insert(const Tensor& keys, const Tensor& values) {
  if (!type_.is_mutable) return unimplemented("Insert not supported by HashTable");
  TENON_RETURN_IF_ERROR(check_entries(keys, values));
  std::unique_lock lock(mutex_);
  for (int64_t i = 0; i < keys.num_elements(); ++i) put(keys, values, i);
  return absl::OkStatus();
}

Status LookupTable::replace_all(const Tensor& keys, const Tensor& values) {
  if (!type_.is_mutable) return initialise(keys, values);
  TENON_RETURN_IF_ERROR(check_entries(keys, values));
  std::unique_lock lock(mutex_);
  clear();
  for (int64_t i = 0; i < keys.num_elements(); ++i) put(keys, values, i);
  return absl::OkStatus();
}

Status LookupTable::remove(const Tensor& keys) {
  if (!type_.is_mutable) return unimplemented("Remove not supported by HashTable");
  if (keys.dtype() != type_.key) {
    return invalid_argument("Key must be type ", type_.key, " but got ", keys.dtype());
  }
  std::unique_lock lock(mutex_);
  for (int64_t i = 0; i < keys.num_elements(); ++i) {
    const int64_t row = row_of(keys, i);
    if (row >= 0) erase_row(row);
  }
  return absl::OkStatus();
}

StatusOr<LookupTable::Entries> LookupTable::entries() const {
  std::shared_lock lock(mutex_);
  if (!type_.is_mutable && !initialised_) {
    return failed_precondition("HashTable is not initialized.");
  }
  Entries entries;
  const auto count =
      static_cast<int64_t>(has_number_keys(type_) ? number_keys_.size() : text_keys_.size());
  if (type_.key == DType::kString) {
    entries.keys = Tensor::strings(Shape{count}, text_keys_);
  } else {
    TENON_ASSIGN_OR_RETURN(entries.keys, Tensor::allocate(type_.key, Shape{count}));
    visit<IndexTypes>(type_.key, [&]<class T>() {
      std::transform(number_keys_.begin(), number_keys_.end(), entries.keys.mutable_data<T>(),
                     [](int64_t key) { return static_cast<T>(key); });
    });
  }
  Shape shape{count};
  for (int64_t dim : type_.value_shape.dims()) shape.append(dim);
  if (type_.value == DType::kString) {
    entries.values = Tensor::strings(shape, text_values_);
  } else {
    TENON_ASSIGN_OR_RETURN(entries.values, Tensor::allocate(type_.value, shape));
    if (!values_.empty()) {
      std::memcpy(entries.values.mutable_raw(), values_.data(), values_.size());
    }
  }
  return entries;
}

StatusOr<LookupTable*> table_of(const KernelRun& r, int index) {
  LookupTable* table = r.input(index).object_as<LookupTable>();
  if (!table) return not_found("input ", index, " is not the handle of a table");
  return table;
}

}  // namespace tenon
