// Elements as text, for tests: "0 [1,2]|1 [3,4]", components parted by a blank, elements by a bar.
#pragma once

#include <gtest/gtest.h>

#include "tenon/data/dataset.h"

namespace tenon::data {

inline std::string text_of_values(const Tensor& tensor) {
  if (tensor.rank() > 0) {
    std::vector<std::string> parts;
    for (int64_t i = 0; i < tensor.dim(0); ++i) {
      const Tensor part = tensor.slice(i, 1);
      parts.push_back(text_of_values(part.reshaped(Shape(part.shape().dims().subspan(1)))));
    }
    return cat("[", join(parts, ","), "]");
  }
  if (tensor.dtype() == DType::kString) return std::string(*tensor.data<std::string_view>());
  if (tensor.dtype() == DType::kFloat) return cat(*tensor.data<float>());
  return cat(integer_at(tensor, 0));
}

inline std::string text_of_element(const Element& element) {
  std::vector<std::string> parts;
  for (const Tensor& tensor : element) parts.push_back(text_of_values(tensor));
  return join(parts, " ");
}

// What the iterator still gives; where it fails, the error's code at the end.
inline std::string text_of(Iterator& iterator) {
  std::vector<std::string> parts;
  Element element;
  for (;;) {
    const StatusOr<bool> more = iterator.next(element);
    if (!more.ok()) parts.emplace_back(code_name(more.status().code()));
    if (!more.ok() || !*more) return join(parts, "|");
    parts.push_back(text_of_element(element));
  }
}

inline std::string text_of(const DatasetPtr& dataset, uint64_t epoch = 0) {
  auto iterator = dataset->iterate(epoch);
  return iterator.ok() ? text_of(**iterator) : std::string(code_name(iterator.status().code()));
}

}  // namespace tenon::data
