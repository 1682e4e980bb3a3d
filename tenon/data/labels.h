// Labels that are texts, as numbers. Internal to data/.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/data/files.h"

namespace tenon::data {

// Calls `see` with each label, in order, until it returns false.
using EachLabel = std::function<Status(FunctionRef<bool(std::string_view)> see)>;

// What a text stands for. Immutable and thread-safe.
class LabelNumbers {
 public:
  // By the classes of `options` where there are some. Else `each` is gone through: texts that all
  // are numbers stand for themselves, others are numbered in sorted order (Labels::kNumber).
  // INVALID_ARGUMENT where nothing says which number a text has (Labels::kKnown);
  // RESOURCE_EXHAUSTED for texts of more than a million kinds.
  static StatusOr<LabelNumbers> find(const FileOptions& options, const EachLabel& each);

  // Empty where labels stand for themselves.
  const std::vector<std::string>& classes() const { return classes_; }
  // kInt64, or kFloat where a label is no whole number.
  DType dtype() const { return dtype_; }

  // Writes element `at` of a tensor of that dtype. INVALID_ARGUMENT for a text that is no class.
  Status write(std::string_view label, Tensor& numbers, int64_t at) const;

 private:
  std::vector<std::string> classes_;
  std::map<std::string, int64_t, std::less<>> numbers_;
  DType dtype_ = DType::kInt64;
};

}  // namespace tenon::data
