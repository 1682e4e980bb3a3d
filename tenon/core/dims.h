// Dims: the dimensions of a shape. Up to 6 stand inline, so that copying a shape does not allocate.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>

namespace tenon {

class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> values) { assign({values.begin(), values.size()}); }
  explicit Dims(std::span<const int64_t> values) { assign(values); }
  explicit Dims(size_t count, int64_t value = 0) { resize(count, value); }
  Dims(const int64_t* first, const int64_t* last) { assign({first, last}); }
  Dims(const Dims& other) { assign(other.span()); }
  Dims& operator=(const Dims& other) {
    if (this != &other) assign(other.span());
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t* begin() { return heap_ ? heap_.get() : inline_; }
  int64_t* end() { return begin() + size_; }
  const int64_t* begin() const { return heap_ ? heap_.get() : inline_; }
  const int64_t* end() const { return begin() + size_; }
  int64_t& operator[](size_t i) { return begin()[i]; }
  int64_t operator[](size_t i) const { return begin()[i]; }
  int64_t& back() { return begin()[size_ - 1]; }
  int64_t back() const { return begin()[size_ - 1]; }
  std::span<const int64_t> span() const { return {begin(), size_}; }

  void assign(std::span<const int64_t> values) {
    reserve(values.size());
    std::copy(values.begin(), values.end(), begin());
    size_ = values.size();
  }
  void resize(size_t count, int64_t value = 0) {
    reserve(count);
    if (count > size_) std::fill(begin() + size_, begin() + count, value);
    size_ = count;
  }
  void clear() { size_ = 0; }
  void push_back(int64_t value) { insert(end(), value); }
  void insert(const int64_t* before, int64_t value) {
    const auto at = before - begin();
    reserve(size_ + 1);
    std::copy_backward(begin() + at, end(), end() + 1);
    begin()[at] = value;
    ++size_;
  }
  void erase(const int64_t* at) {
    std::copy(at + 1, static_cast<const int64_t*>(end()), begin() + (at - begin()));
    --size_;
  }

  friend bool operator==(const Dims& a, const Dims& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  static constexpr size_t kInline = 6;

  void reserve(size_t count) {
    if (count <= std::max(kInline, capacity_)) return;
    auto bigger = std::make_unique<int64_t[]>(count);
    std::copy(begin(), end(), bigger.get());
    heap_ = std::move(bigger);
    capacity_ = count;
  }

  int64_t inline_[kInline] = {};
  size_t size_ = 0;
  size_t capacity_ = 0;  // of heap_
  std::unique_ptr<int64_t[]> heap_;
};

}  // namespace tenon
