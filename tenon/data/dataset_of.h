// A Dataset made of two functions, and what the steps share. Internal to data/.
#pragma once

#include "tenon/data/dataset.h"

namespace tenon::data {

using IteratorOr = StatusOr<std::unique_ptr<Iterator>>;

// Both are called from any thread.
DatasetPtr dataset_of(std::function<IteratorOr(uint64_t epoch)> iterate,
                      std::function<int64_t()> size);

// The rows one by one. `owner` keeps the columns alive.
std::unique_ptr<Iterator> iterate_columns(Columns columns, DatasetPtr owner);

// The elements one by one.
std::unique_ptr<Iterator> iterate_elements(std::shared_ptr<const std::vector<Element>> elements);
DatasetPtr dataset_of_elements(std::vector<Element> elements);

// Of two numbers that are 0 or more; INT64_MAX where the product does not fit.
inline int64_t saturated_product(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}
inline int64_t saturated_sum(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

}  // namespace tenon::data
