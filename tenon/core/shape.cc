#include "tenon/core/shape.h"

#include <algorithm>
#include <limits>

namespace tenon {
namespace {
int64_t saturating_product(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<int64_t>::max() : product;
}
}  // namespace

StatusOr<Shape> Shape::make(std::span<const int64_t> dims, size_t element_size) {
  if (dims.size() > kMaxRank) {
    return invalid_argument("a shape has rank ", dims.size(), ", at most ", kMaxRank,
                            " is possible");
  }
  auto bytes = static_cast<int64_t>(std::max<size_t>(element_size, 1));
  for (int64_t dim : dims) {
    if (dim < 0) return invalid_argument("a shape has the negative dimension ", dim);
    // Zeros are left out, as NumPy does: products of some of the dimensions must not overflow
    // either.
    int64_t product = 0;
    if (dim != 0 && __builtin_mul_overflow(bytes, dim, &product)) {
      return invalid_argument("shape [", join(dims, ","),
                              "]: Encountered overflow when multiplying ", bytes, " with ", dim);
    }
    if (dim != 0) bytes = product;
  }
  return Shape(dims);
}

Status Shape::check() const {
  TENON_RETURN_IF_ERROR(make(dims()).status());
  int64_t count = 1;
  for (int64_t dim : dims()) count *= std::max<int64_t>(dim, 1);
  if (count <= kMostElements) return absl::OkStatus();
  return resource_exhausted("out of memory: a tensor of shape ", to_string(*this),
                            " has more elements than can be addressed");
}

int64_t Shape::num_elements() const { return product(0, rank()); }

size_t Shape::num_bytes(size_t element_size) const {
  const int64_t bytes = saturating_product(num_elements(), static_cast<int64_t>(element_size));
  return static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(bytes), SIZE_MAX));
}

int64_t Shape::product(int begin, int end) const {
  int64_t count = 1;
  for (int axis = begin; axis < end; ++axis) count = saturating_product(count, (*this)[axis]);
  return count;
}

std::string to_string(const Shape& shape) { return cat("[", join(shape.dims(), ","), "]"); }

PartialShape PartialShape::unknown_of_rank(int rank) {
  PartialShape shape;
  shape.known_rank_ = true;
  for (int axis = 0; axis < rank; ++axis) shape.dims_.push_back(-1);
  return shape;
}

bool PartialShape::is_fully_known() const {
  return known_rank_ && std::all_of(dims_.begin(), dims_.end(), [](int64_t d) { return d >= 0; });
}

Shape PartialShape::to_shape() const { return Shape(dims_.span()); }

int64_t PartialShape::num_elements() const {
  return is_fully_known() ? to_shape().num_elements() : -1;
}

bool PartialShape::matches(const Shape& shape) const {
  if (!known_rank_) return true;
  if (shape.rank() != rank()) return false;
  for (int axis = 0; axis < rank(); ++axis) {
    if ((*this)[axis] >= 0 && (*this)[axis] != shape[axis]) return false;
  }
  return true;
}

StatusOr<PartialShape> PartialShape::merge(const PartialShape& a, const PartialShape& b) {
  if (!a.has_rank()) return b;
  if (!b.has_rank()) return a;
  if (a.rank() != b.rank()) {
    return invalid_argument("shapes ", to_string(a), " and ", to_string(b),
                            " have different ranks");
  }
  PartialShape merged = a;
  for (int axis = 0; axis < a.rank(); ++axis) {
    if (a[axis] < 0) {
      merged.set(axis, b[axis]);
    } else if (b[axis] >= 0 && a[axis] != b[axis]) {
      return invalid_argument("shapes ", to_string(a), " and ", to_string(b),
                              " differ in dimension ", axis);
    }
  }
  return merged;
}

std::string to_string(const PartialShape& shape) {
  if (!shape.has_rank()) return "<unknown>";
  std::string text = "[";
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis > 0) text += ',';
    text += shape[axis] < 0 ? "?" : cat(shape[axis]);
  }
  return text + "]";
}

}  // namespace tenon
