// TensorList: the value of TensorFlow's list ops, held by a variant tensor.
//
// Immutable and thread-safe: an operation that changes a list gives a new one, which shares all
// chunks but the one it changed. So the list that a loop's previous iteration, another reader or
// the gradient still holds stays as it was, and a push or a set costs size() / kChunk steps whoever
// else holds the list.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon {

class TensorList final : public Object {
 public:
  // Bounds what a number in a graph can make us allocate.
  static constexpr int64_t kMostElements = int64_t{1} << 24;

  // `capacity` of -1: any number of elements.
  TensorList(DType dtype, PartialShape element_shape, int64_t capacity = -1)
      : dtype_(dtype), element_shape_(std::move(element_shape)), capacity_(capacity) {}

  // A list of `elements`, which must be kept and fit.
  static StatusOr<Ref<TensorList>> of(DType dtype, PartialShape element_shape,
                                      std::vector<Tensor> elements);

  static constexpr std::string_view kTypeName = "TensorList";
  std::string_view type_name() const override { return kTypeName; }
  DType dtype() const { return dtype_; }
  const PartialShape& element_shape() const { return element_shape_; }
  int64_t size() const { return size_; }

  // A tensor without value where none was set.
  const Tensor& operator[](int64_t index) const;

  // `element` must be kept (Tensor::keep). INVALID_ARGUMENT when dtype or shape do not fit the
  // list's, when it is full, or when `index` is outside.
  StatusOr<Ref<TensorList>> push(Tensor element) const;
  StatusOr<Ref<TensorList>> set(int64_t index, Tensor element) const;
  StatusOr<Ref<TensorList>> pop() const;
  // Longer: elements without value are added. RESOURCE_EXHAUSTED above kMostElements.
  StatusOr<Ref<TensorList>> resize(int64_t size) const;

  Status check_index(int64_t index) const;

  // What is known of each element's shape: the list's own, `wanted` and those of the elements.
  StatusOr<PartialShape> common_shape(const PartialShape& wanted) const;

 private:
  static constexpr int64_t kChunk = 16;
  using Chunk = std::array<Tensor, kChunk>;

  Ref<TensorList> copy() const;
  Status check_element(const Tensor& element) const;
  void place(int64_t index, Tensor element);

  DType dtype_;
  PartialShape element_shape_;
  int64_t capacity_;
  int64_t size_ = 0;
  std::vector<std::shared_ptr<const Chunk>> chunks_;  // null: no element of it is set
};

}  // namespace tenon
