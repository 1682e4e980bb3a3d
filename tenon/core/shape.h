// Shape: the dimensions of a tensor that exists. PartialShape: what is known of one that does not
// yet.
#pragma once

#include "tenon/base/status.h"
#include "tenon/core/dims.h"

namespace tenon {

// TensorFlow's limit on the rank of a tensor.
inline constexpr int kMaxRank = 254;

// Of an op's result: as many elements of 16 bytes, the largest, still fit in half of the addresses
// (2^59 - 1; 2^27 - 1 on processors of 32 bits).
inline constexpr int64_t kMostElements = static_cast<int64_t>(SIZE_MAX >> 1) / 16;

// Known rank and dimensions, each at least 0. A scalar has rank 0.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::span<const int64_t> dims) : dims_(dims) {}

  // Checks untrusted dimensions: none negative, rank at most kMaxRank, the element count and
  // `element_size` times it within int64.
  static StatusOr<Shape> make(std::span<const int64_t> dims, size_t element_size = 1);

  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  std::span<const int64_t> dims() const { return dims_.span(); }
  // Products that do not fit in int64 are INT64_MAX, and bytes that do not fit in size_t are
  // SIZE_MAX, which no allocation grants.
  int64_t num_elements() const;
  size_t num_bytes(size_t element_size) const;

  // Of dimensions that an op computed: INVALID_ARGUMENT, as make(), where their product (zeros left
  // out) does not fit in int64; RESOURCE_EXHAUSTED where it is above kMostElements.
  Status check() const;

  // Product of the dimensions [begin, end).
  int64_t product(int begin, int end) const;

  void set(int axis, int64_t size) { dims_[static_cast<size_t>(axis)] = size; }
  void append(int64_t size) { dims_.push_back(size); }
  void insert(int axis, int64_t size) { dims_.insert(dims_.begin() + axis, size); }
  void remove(int axis) { dims_.erase(dims_.begin() + axis); }

  friend bool operator==(const Shape& a, const Shape& b) { return a.dims_ == b.dims_; }

 private:
  Dims dims_;
};

// "[2,3]", as TensorFlow's messages print shapes.
std::string to_string(const Shape& shape);

// -1 is an unknown dimension; the rank may be unknown too.
class PartialShape {
 public:
  PartialShape() = default;         // unknown rank
  PartialShape(const Shape& shape)  // NOLINT: a Shape is a fully known PartialShape
      : known_rank_(true), dims_(shape.dims()) {}
  PartialShape(std::initializer_list<int64_t> dims) : known_rank_(true), dims_(dims) {}
  explicit PartialShape(std::span<const int64_t> dims) : known_rank_(true), dims_(dims) {}
  static PartialShape unknown_of_rank(int rank);

  bool has_rank() const { return known_rank_; }
  int rank() const { return static_cast<int>(dims_.size()); }  // has_rank() only
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  std::span<const int64_t> dims() const { return dims_.span(); }
  void set(int axis, int64_t size) { dims_[static_cast<size_t>(axis)] = size; }

  bool is_fully_known() const;
  Shape to_shape() const;        // is_fully_known() only
  int64_t num_elements() const;  // -1 when not known

  // Could a tensor of `shape` be described by this?
  bool matches(const Shape& shape) const;

  // What both say; INVALID_ARGUMENT when they contradict each other.
  static StatusOr<PartialShape> merge(const PartialShape& a, const PartialShape& b);

  friend bool operator==(const PartialShape& a, const PartialShape& b) {
    return a.known_rank_ == b.known_rank_ && a.dims_ == b.dims_;
  }

 private:
  bool known_rank_ = false;
  Dims dims_;
};

// "[?,784]"; "<unknown>" when the rank is not known.
std::string to_string(const PartialShape& shape);

}  // namespace tenon
