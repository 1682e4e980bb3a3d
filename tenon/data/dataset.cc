#include "tenon/data/dataset_of.h"

namespace tenon::data {

namespace {

class DatasetOfFunctions final : public Dataset {
 public:
  DatasetOfFunctions(std::function<IteratorOr(uint64_t epoch)> iterate,
                     std::function<int64_t()> size)
      : iterate_(std::move(iterate)), size_(std::move(size)) {}
  IteratorOr iterate(uint64_t epoch) const override { return iterate_(epoch); }
  int64_t size() const override { return size_(); }

 private:
  std::function<IteratorOr(uint64_t epoch)> iterate_;
  std::function<int64_t()> size_;
};

}  // namespace

StatusOr<int64_t> Iterator::skip(int64_t count) {
  Element element;
  for (int64_t passed = 0; passed < count; ++passed) {
    TENON_ASSIGN_OR_RETURN(const bool more, next(element));
    if (!more) return passed;
  }
  return count;
}

DatasetPtr dataset_of(std::function<IteratorOr(uint64_t epoch)> iterate,
                      std::function<int64_t()> size) {
  return std::make_shared<DatasetOfFunctions>(std::move(iterate), std::move(size));
}

}  // namespace tenon::data
