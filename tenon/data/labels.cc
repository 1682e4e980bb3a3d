#include "tenon/data/csv_records.h"

namespace tenon::data {

namespace {

// Classes are named in a message up to so many.
constexpr size_t kNamed = 20;

std::string list_of(std::span<const std::string> classes) {
  const size_t count = std::min(classes.size(), kNamed);
  return cat(join(std::vector<std::string>(classes.begin(), classes.begin() + count), ", "),
             count < classes.size() ? cat(" and ", classes.size() - count, " more") : "");
}

// The labels as numbers: int64 where all are whole, else float32; no value when one is a text.
Tensor numeric_labels(std::span<const std::string> texts) {
  std::vector<double> numbers(texts.size());
  bool integral = true;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!parse_cell(texts[i], numbers[i])) return {};
    integral = integral && std::abs(numbers[i]) < 1e15 &&
               numbers[i] == static_cast<double>(static_cast<int64_t>(numbers[i]));
  }
  Tensor y(integral ? DType::kInt64 : DType::kFloat, Shape{static_cast<int64_t>(texts.size())});
  if (integral) {
    std::copy(numbers.begin(), numbers.end(), y.mutable_data<int64_t>());
  } else {
    std::copy(numbers.begin(), numbers.end(), y.mutable_data<float>());
  }
  return y;
}

std::vector<std::string> sorted_texts(std::span<const std::string> texts) {
  std::vector<std::string> sorted(texts.begin(), texts.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

}  // namespace

StatusOr<Tensor> number_labels(std::span<const std::string> texts, const FileOptions& options,
                               const std::function<std::string(size_t row)>& place,
                               std::vector<std::string>& classes) {
  classes = options.names.classes;
  if (classes.empty()) {
    Tensor numbers = numeric_labels(texts);
    if (numbers.has_value()) return numbers;
    if (options.use_labels == Labels::kKnown) {
      return invalid_argument("the labels are texts (", list_of(sorted_texts(texts)),
                              "), and nothing says which number each had when the model was "
                              "trained; give the numbers instead");
    }
    classes = sorted_texts(texts);
  }
  std::map<std::string_view, int64_t> numbers;
  for (const std::string& name : classes) {
    numbers.try_emplace(name, static_cast<int64_t>(numbers.size()));
  }
  Tensor y(DType::kInt64, Shape{static_cast<int64_t>(texts.size())});
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto it = numbers.find(texts[i]);
    if (it == numbers.end()) {
      return invalid_argument(place(i), ": '", texts[i],
                              "' is no class of the model, which was trained on ",
                              list_of(classes));
    }
    y.mutable_data<int64_t>()[i] = it->second;
  }
  return y;
}

}  // namespace tenon::data
