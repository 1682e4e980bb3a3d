#include "tenon/data/labels.h"

#include <set>

#include "absl/strings/escaping.h"
#include "tenon/base/utf8.h"
#include "tenon/data/csv/csv_records.h"

namespace tenon::data {

namespace {

// Classes are named in a message up to so many.
constexpr size_t kNamed = 20;
constexpr size_t kMostClasses = 1'000'000;

std::string list_of(std::span<const std::string> classes) {
  const size_t count = std::min(classes.size(), kNamed);
  return cat(join(std::vector<std::string>(classes.begin(), classes.begin() + count), ", "),
             count < classes.size() ? cat(" and ", classes.size() - count, " more") : "");
}

// The dtype of labels that all are numbers: int64 where they are whole; kInvalid when one is a
// text.
StatusOr<DType> dtype_of_labels(const EachLabel& each) {
  DType dtype = DType::kInt64;
  TENON_RETURN_IF_ERROR(each([&](std::string_view label) {
    double number = 0;
    if (!parse_cell(label, number)) {
      dtype = DType::kInvalid;
      return false;
    }
    const bool whole =
        std::abs(number) < 1e15 && number == static_cast<double>(static_cast<int64_t>(number));
    if (!whole) dtype = DType::kFloat;
    return true;
  }));
  return dtype;
}

StatusOr<std::vector<std::string>> sorted_labels(const EachLabel& each) {
  std::set<std::string, std::less<>> sorted;
  TENON_RETURN_IF_ERROR(each([&](std::string_view label) {
    if (sorted.find(label) == sorted.end()) sorted.emplace(label);
    return sorted.size() <= kMostClasses;
  }));
  if (sorted.size() > kMostClasses) {
    return resource_exhausted("the labels are more than ", kMostClasses, " different texts");
  }
  // Models keep the names of their classes as JSON, which holds nothing else.
  for (const std::string& label : sorted) {
    if (is_utf8(label)) continue;
    return invalid_argument("the label '", absl::CHexEscape(label),
                            "' is not UTF-8; convert the texts, as iconv does");
  }
  return std::vector<std::string>(sorted.begin(), sorted.end());
}

}  // namespace

StatusOr<LabelNumbers> LabelNumbers::find(const FileOptions& options, const EachLabel& each) {
  LabelNumbers found;
  found.classes_ = options.names.classes;
  if (found.classes_.empty()) {
    TENON_ASSIGN_OR_RETURN(const DType dtype, dtype_of_labels(each));
    if (dtype != DType::kInvalid) {
      found.dtype_ = dtype;
      return found;
    }
    TENON_ASSIGN_OR_RETURN(found.classes_, sorted_labels(each));
    if (options.use_labels == Labels::kKnown) {
      return invalid_argument("the labels are texts (", list_of(found.classes_),
                              "), and nothing says which number each had when the model was "
                              "trained; give the numbers instead");
    }
  }
  for (const std::string& name : found.classes_) {
    found.numbers_.try_emplace(name, static_cast<int64_t>(found.numbers_.size()));
  }
  return found;
}

Status LabelNumbers::write(std::string_view label, Tensor& numbers, int64_t at) const {
  if (classes_.empty()) {
    double number = 0;
    if (!parse_cell(label, number)) return invalid_argument("'", label, "' is no number");
    if (dtype_ == DType::kInt64) {
      numbers.mutable_data<int64_t>()[at] = static_cast<int64_t>(number);
    } else {
      numbers.mutable_data<float>()[at] = static_cast<float>(number);
    }
    return absl::OkStatus();
  }
  const auto it = numbers_.find(label);
  if (it == numbers_.end()) {
    return invalid_argument("'", label, "' is no class of the model, which was trained on ",
                            list_of(classes_));
  }
  numbers.mutable_data<int64_t>()[at] = it->second;
  return absl::OkStatus();
}

StatusOr<Tensor> number_labels(std::span<const std::string> texts, const FileOptions& options,
                               const std::function<std::string(size_t row)>& place,
                               std::vector<std::string>& classes) {
  TENON_ASSIGN_OR_RETURN(const LabelNumbers numbers, LabelNumbers::find(options, [&](auto see) {
                           for (const std::string& text : texts) {
                             if (!see(text)) break;
                           }
                           return absl::OkStatus();
                         }));
  classes = numbers.classes();
  Tensor y(numbers.dtype(), Shape{static_cast<int64_t>(texts.size())});
  for (size_t i = 0; i < texts.size(); ++i) {
    const Status status = numbers.write(texts[i], y, static_cast<int64_t>(i));
    if (!status.ok()) return with_context(status, place(i));
  }
  return y;
}

}  // namespace tenon::data
