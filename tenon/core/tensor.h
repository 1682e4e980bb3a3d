// Tensor: dtype, shape and a shared buffer. The value type of the whole engine.
//
// Copying a Tensor shares the buffer. Elements are row-major and contiguous. Element types in
// memory: numbers as in C++ (float16, bfloat16 from float16.h; bool one byte), kString as
// std::string_view, kResource and kVariant as Ref<Object>. Distinct Tensor objects that share a
// buffer may be read from several threads; writing needs the only reference, or an agreement of the
// callers.
#pragma once

#include "tenon/core/buffer.h"
#include "tenon/core/shape.h"

namespace tenon {

class Tensor {
 public:
  Tensor() = default;  // no value: dtype() is kInvalid

  // Uninitialised host memory (empty strings, null objects). Throws std::bad_alloc where allocate()
  // fails; so does whatever below makes a tensor.
  Tensor(DType dtype, Shape shape);

  // As the constructor. INVALID_ARGUMENT when the shape's element count does not fit in int64,
  // RESOURCE_EXHAUSTED when the memory is not to be had.
  static StatusOr<Tensor> allocate(DType dtype, Shape shape);

  // A view of `buffer` from `data` on; `data` points into it.
  Tensor(DType dtype, Shape shape, Ref<Buffer> buffer, void* data)
      : dtype_(dtype), shape_(std::move(shape)), buffer_(std::move(buffer)), data_(data) {}

  // `shape` elements that somebody else owns, see Buffer::lent(). Host memory that is not aligned
  // to kLentAlignment is copied, and given back at once. INVALID_ARGUMENT for strings and objects,
  // for a null pointer with elements behind it, for a device's memory that is not aligned;
  // `release` is called then too.
  static StatusOr<Tensor> lent(DType dtype, Shape shape, const void* data,
                               std::function<void()> release, Device* device = nullptr);

  template <class T>
  static Tensor scalar(T value) {
    Tensor tensor(dtype_of<T>, Shape());
    *tensor.mutable_data<T>() = value;
    return tensor;
  }
  template <class T>
  static Tensor vector(std::span<const T> values) {
    return from(Shape{static_cast<int64_t>(values.size())}, values);
  }
  template <class T>
  static Tensor vector(std::initializer_list<T> values) {
    return vector(std::span<const T>(values.begin(), values.size()));
  }
  template <class T>
  static Tensor from(Shape shape, std::span<const T> values) {
    Tensor tensor(dtype_of<T>, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.mutable_data<T>());
    return tensor;
  }
  // Copies the characters.
  static Tensor string(std::string_view text);
  static Tensor strings(Shape shape, std::span<const std::string> texts);
  static Tensor object(DType dtype, Ref<Object> object);

  bool has_value() const { return dtype_ != DType::kInvalid; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t num_elements() const { return shape_.num_elements(); }
  size_t num_bytes() const { return shape_.num_bytes(size_of(dtype_)); }

  const void* raw() const { return data_; }
  void* mutable_raw() { return data_; }
  template <class T>
  const T* data() const {
    return static_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_data() {
    return static_cast<T*>(data_);
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(num_elements())};
  }
  const Ref<Buffer>& buffer() const { return buffer_; }

  // The single element of a resource or variant scalar, as a T; null when it is something else.
  template <class T>
  T* object_as() const {
    return is_object(dtype_) && dtype_ != DType::kString && num_elements() == 1
               ? object_cast<T>(data<Ref<Object>>()->get())
               : nullptr;
  }

  // The same elements under another shape of equal element count.
  Tensor reshaped(Shape shape) const { return Tensor(dtype_, std::move(shape), buffer_, data_); }
  // The same bytes as another dtype of equal size.
  Tensor as_dtype(DType dtype) const { return Tensor(dtype, shape_, buffer_, data_); }

  // A tensor that stays valid whatever happens to arenas: this one, or a copy if it is transient.
  Tensor keep() const;

  // May it be changed in place? When nobody else holds its memory, and nobody lent it.
  bool writable() const { return buffer_ && buffer_->writable(); }

  // A copy in host memory of its own. The tensor must be in host memory.
  Tensor clone() const;

  // Elements [begin, begin + count) of dimension 0, sharing the buffer.
  Tensor slice(int64_t begin, int64_t count) const;

 private:
  DType dtype_ = DType::kInvalid;
  Shape shape_;
  Ref<Buffer> buffer_;
  void* data_ = nullptr;
};

// Element `index` of an integer tensor (any width) as int64.
int64_t integer_at(const Tensor& tensor, int64_t index);

// All elements of an integer tensor as int64.
std::vector<int64_t> integers_of(const Tensor& tensor);

// dtype, shape and the first elements: "float [2,3]: 1 2 3 ..."
std::string to_string(const Tensor& tensor);

// Fills a kString tensor element by element. Characters are copied into blocks of this tensor, or
// shared with a tensor they are a piece of.
class StringTensorBuilder {
 public:
  explicit StringTensorBuilder(Shape shape);

  // Views given to set_view() may point into the characters of `tensor`.
  void share(const Tensor& tensor);
  void set_view(int64_t index, std::string_view piece) { buffer_->views()[index] = piece; }
  void set(int64_t index, std::string_view text);  // copies

  Tensor build() &&;

 private:
  Shape shape_;
  Ref<StringBuffer> buffer_;
  Ref<Buffer> block_;
  size_t used_ = 0;
};

}  // namespace tenon
