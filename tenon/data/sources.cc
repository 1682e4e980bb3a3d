#include "tenon/data/sources.h"

#include "tenon/data/dataset_of.h"
#include "tenon/io/byte_source.h"

namespace tenon::data {

namespace {

class RangeIterator final : public Iterator {
 public:
  RangeIterator(int64_t begin, int64_t step, int64_t count)
      : next_(begin), step_(step), left_(count) {}
  StatusOr<bool> next(Element& element) override {
    if (left_ == 0) return false;
    element.assign(1, Tensor::scalar<int64_t>(next_));
    if (--left_ > 0) next_ += step_;
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    const int64_t passed = std::min(count, left_);
    left_ -= passed;
    if (left_ > 0) next_ += passed * step_;
    return passed;
  }

 private:
  int64_t next_, step_, left_;
};

// How many numbers there are from `begin` to before `end`; INT64_MAX where there are more.
int64_t count_range(int64_t begin, int64_t end, int64_t step) {
  if (step == 0 || (step > 0 ? begin >= end : begin <= end)) return 0;
  const __int128 distance = static_cast<__int128>(end) - begin;
  const __int128 count = (distance + step - (step > 0 ? 1 : -1)) / step;
  return count > INT64_MAX ? INT64_MAX : static_cast<int64_t>(count);
}

class SingleIterator final : public Iterator {
 public:
  explicit SingleIterator(Element element) : element_(std::move(element)) {}
  StatusOr<bool> next(Element& element) override {
    if (std::exchange(given_, true)) return false;
    element = element_;
    return true;
  }

 private:
  Element element_;
  bool given_ = false;
};

class GeneratorIterator final : public Iterator {
 public:
  explicit GeneratorIterator(Generator generator) : generator_(std::move(generator)) {}
  StatusOr<bool> next(Element& element) override { return generator_(element); }

 private:
  Generator generator_;
};

class LinesIterator final : public Iterator {
 public:
  explicit LinesIterator(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, line());
    if (more) element.assign(1, Tensor::string(line_));
    return more;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    for (int64_t passed = 0; passed < count; ++passed) {
      TENON_ASSIGN_OR_RETURN(const bool more, line());
      if (!more) return passed;
    }
    return count;
  }

 private:
  static constexpr size_t kLongest = size_t{1} << 30;

  // The next line in line_; false after the last file.
  StatusOr<bool> line() {
    line_.clear();
    bool any = false;
    for (;;) {
      if (at_ == block_.size()) {
        TENON_ASSIGN_OR_RETURN(const bool more, fill());
        if (!more && any) return true;
        if (!more && file_ == paths_.size()) return false;
        continue;
      }
      any = true;
      const std::string_view rest = std::string_view(block_).substr(at_);
      const size_t end = rest.find('\n');
      std::copy_if(rest.begin(), rest.begin() + std::min(end, rest.size()),
                   std::back_inserter(line_), [](char c) { return c != '\r'; });
      at_ += end == rest.npos ? rest.size() : end + 1;
      if (end != rest.npos) return true;
      if (line_.size() > kLongest) {
        return resource_exhausted("'", source_->name(), "': the line at byte ",
                                  read_ - line_.size(), " has more than ", kLongest, " bytes");
      }
    }
  }
  // More bytes in block_; false at the end of a file.
  StatusOr<bool> fill() {
    block_.clear();
    at_ = 0;
    if (!source_) {
      if (file_ == paths_.size()) return false;
      TENON_ASSIGN_OR_RETURN(source_, open_source(paths_[file_]));
      read_ = 0;
    }
    block_.resize(size_t{64} << 10);
    StatusOr<size_t> got = source_->read(block_);
    block_.resize(got.ok() ? *got : 0);
    if (!got.ok()) return got.status();
    read_ += *got;
    if (*got > 0) return true;
    source_ = nullptr;
    ++file_;
    return false;
  }

  std::vector<std::string> paths_;
  size_t file_ = 0;
  std::unique_ptr<ByteSource> source_;  // of paths_[file_]; null between files
  std::string block_;
  size_t at_ = 0;  // in block_
  uint64_t read_ = 0;
  std::string line_;
};

}  // namespace

DatasetPtr range(int64_t begin, int64_t end, int64_t step) {
  const int64_t count = count_range(begin, end, step);
  return dataset_of(
      [=](uint64_t) -> IteratorOr { return std::make_unique<RangeIterator>(begin, step, count); },
      [=] { return count; });
}

DatasetPtr single(Element element) {
  return dataset_of(
      [element = std::move(element)](uint64_t) -> IteratorOr {
        return std::make_unique<SingleIterator>(element);
      },
      []() -> int64_t { return 1; });
}

DatasetPtr from_generator(std::function<StatusOr<Generator>(uint64_t epoch)> start, int64_t size) {
  return dataset_of(
      [start = std::move(start)](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(Generator generator, start(epoch));
        return std::make_unique<GeneratorIterator>(std::move(generator));
      },
      [size] { return size; });
}

DatasetPtr text_lines(std::vector<std::string> paths) {
  return dataset_of([paths = std::move(paths)](
                        uint64_t) -> IteratorOr { return std::make_unique<LinesIterator>(paths); },
                    []() -> int64_t { return -1; });
}

}  // namespace tenon::data
