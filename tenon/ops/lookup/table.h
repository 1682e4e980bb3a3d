// Tables from keys to values: what the lookup ops share.
//
// Keys are int32, int64 or strings, values of any plain dtype or strings. A table that is not
// mutable is filled once, by its initialiser; TensorFlow's rule for the second time holds: the same
// entries are accepted, others are FAILED_PRECONDITION. Thread-safe.
#pragma once

#include <shared_mutex>
#include <unordered_map>

#include "tenon/core/kernel.h"

namespace tenon {

struct TableType {
  DType key = DType::kInvalid;
  DType value = DType::kInvalid;
  Shape value_shape;  // of one value
  bool is_mutable = false;
  friend bool operator==(const TableType& a, const TableType& b) = default;
};

class LookupTable final : public Object {
 public:
  // UNIMPLEMENTED for keys of another dtype.
  static StatusOr<Ref<Object>> create(TableType type);
  explicit LookupTable(TableType type);

  static constexpr std::string_view kTypeName = "LookupTable";
  std::string_view type_name() const override { return kTypeName; }
  const TableType& type() const { return type_; }
  int64_t size() const;

  // The values of `keys`; where there is none that of `fallback`, which has the shape of one value
  // or of the result. FAILED_PRECONDITION before a table that is not mutable was filled.
  StatusOr<Tensor> find(const Tensor& keys, const Tensor& fallback) const;

  // Fills a table that is not mutable. Equal keys must have equal values.
  Status initialise(const Tensor& keys, const Tensor& values);

  // These change a mutable table; UNIMPLEMENTED for another.
  Status insert(const Tensor& keys, const Tensor& values);
  Status replace_all(const Tensor& keys, const Tensor& values);
  Status remove(const Tensor& keys);

  struct Entries {
    Tensor keys, values;
  };
  StatusOr<Entries> entries() const;

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  // INVALID_ARGUMENT unless dtypes and shapes are those of the table's entries.
  Status check_entries(const Tensor& keys, const Tensor& values) const;
  // The lock is held in all that follow.
  int64_t row_of(const Tensor& keys, int64_t index) const;  // -1: no such key
  void put(const Tensor& keys, const Tensor& values, int64_t index);
  void write_row(int64_t row, const Tensor& values, int64_t index);
  bool row_equals(int64_t row, const Tensor& values, int64_t index) const;
  void erase_row(int64_t row);
  void clear();

  const TableType type_;
  const int64_t value_elements_;
  mutable std::shared_mutex mutex_;
  bool initialised_ = false;
  std::unordered_map<int64_t, int64_t> number_rows_;
  std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>> text_rows_;
  // By row, in the order of insertion.
  std::vector<int64_t> number_keys_;
  std::vector<std::string> text_keys_;
  std::vector<char> values_;
  std::vector<std::string> text_values_;
};

// The table that input `index` refers to; NOT_FOUND when it refers to none.
StatusOr<LookupTable*> table_of(const KernelRun& r, int index);

}  // namespace tenon
