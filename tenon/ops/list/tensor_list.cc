#include "tenon/ops/list/tensor_list.h"

namespace tenon {

const Tensor& TensorList::operator[](int64_t index) const {
  static const Tensor unset;
  const auto& chunk = chunks_[static_cast<size_t>(index / kChunk)];
  return chunk ? (*chunk)[static_cast<size_t>(index % kChunk)] : unset;
}

Ref<TensorList> TensorList::copy() const {
  auto list = make_ref<TensorList>(dtype_, element_shape_, capacity_);
  list->size_ = size_;
  list->chunks_ = chunks_;
  return list;
}

void TensorList::place(int64_t index, Tensor element) {
  auto& chunk = chunks_[static_cast<size_t>(index / kChunk)];
  auto changed = chunk ? std::make_shared<Chunk>(*chunk) : std::make_shared<Chunk>();
  (*changed)[static_cast<size_t>(index % kChunk)] = std::move(element);
  chunk = std::move(changed);
}

StatusOr<Ref<TensorList>> TensorList::of(DType dtype, PartialShape element_shape,
                                         std::vector<Tensor> elements) {
  const TensorList empty(dtype, std::move(element_shape));
  TENON_ASSIGN_OR_RETURN(Ref<TensorList> list, empty.resize(static_cast<int64_t>(elements.size())));
  std::shared_ptr<Chunk> chunk;
  for (size_t i = 0; i < elements.size(); ++i) {
    TENON_RETURN_IF_ERROR(list->check_element(elements[i]));
    if (i % kChunk == 0) list->chunks_[i / kChunk] = chunk = std::make_shared<Chunk>();
    (*chunk)[i % kChunk] = std::move(elements[i]);
  }
  return list;
}

Status TensorList::check_element(const Tensor& element) const {
  if (element.dtype() != dtype_) {
    return invalid_argument("Invalid data types; op elements ", element.dtype(),
                            " but list elements ", dtype_);
  }
  if (!element_shape_.matches(element.shape())) {
    return invalid_argument("Tried to set a tensor of shape ", element.shape(),
                            " in a list whose elements have shape ", element_shape_);
  }
  return absl::OkStatus();
}

Status TensorList::check_index(int64_t index) const {
  if (index >= 0 && index < size_) return absl::OkStatus();
  return invalid_argument("Trying to access element ", index, " in a list with ", size_,
                          " elements.");
}

StatusOr<Ref<TensorList>> TensorList::push(Tensor element) const {
  TENON_RETURN_IF_ERROR(check_element(element));
  if (capacity_ >= 0 && size_ >= capacity_) {
    return invalid_argument("Tried to push item into a full list; list size: ", size_,
                            " max_num_elements: ", capacity_);
  }
  TENON_ASSIGN_OR_RETURN(Ref<TensorList> list, resize(size_ + 1));
  list->place(size_, std::move(element));
  return list;
}

StatusOr<Ref<TensorList>> TensorList::set(int64_t index, Tensor element) const {
  TENON_RETURN_IF_ERROR(check_index(index));
  TENON_RETURN_IF_ERROR(check_element(element));
  Ref<TensorList> list = copy();
  list->place(index, std::move(element));
  return list;
}

StatusOr<Ref<TensorList>> TensorList::pop() const {
  if (size_ == 0) return invalid_argument("Trying to pop from an empty list.");
  return resize(size_ - 1);
}

StatusOr<Ref<TensorList>> TensorList::resize(int64_t size) const {
  if (size < 0) {
    return invalid_argument("TensorListSlice expects size to be non-negative. Got: ", size);
  }
  if (size > kMostElements) {
    return resource_exhausted("a list of ", size, " elements; at most ", kMostElements,
                              " are possible");
  }
  Ref<TensorList> list = copy();
  list->size_ = size;
  list->chunks_.resize(static_cast<size_t>((size + kChunk - 1) / kChunk));
  // What is cut off must not come back when the list grows again.
  if (size < size_ && size % kChunk != 0 && list->chunks_.back()) {
    auto last = std::make_shared<Chunk>();
    std::copy_n(list->chunks_.back()->begin(), size % kChunk, last->begin());
    list->chunks_.back() = std::move(last);
  }
  return list;
}

StatusOr<PartialShape> TensorList::common_shape(const PartialShape& wanted) const {
  TENON_ASSIGN_OR_RETURN(PartialShape shape, PartialShape::merge(element_shape_, wanted));
  for (int64_t i = 0; i < size_ && !shape.is_fully_known(); ++i) {
    const Tensor& element = (*this)[i];
    if (!element.has_value()) continue;
    TENON_ASSIGN_OR_RETURN(shape, PartialShape::merge(shape, element.shape()));
  }
  return shape;
}

}  // namespace tenon
