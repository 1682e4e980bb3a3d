#include "tenon/core/tensor.h"

#include "tenon/base/log.h"
#include "tenon/base/out_of_memory.h"

namespace tenon {

namespace {
Ref<Buffer> buffer_of(DType dtype, const Shape& shape) {
  if (dtype == DType::kString) return Ref<Buffer>(new StringBuffer(shape.num_elements()));
  if (is_object(dtype)) return Ref<Buffer>(new ObjectBuffer(shape.num_elements()));
  return Buffer::host(shape.num_bytes(size_of(dtype)));
}
}  // namespace

StatusOr<Tensor> Tensor::allocate(DType dtype, Shape shape) {
  TENON_RETURN_IF_ERROR(Shape::make(shape.dims()).status());
  StatusOr<Ref<Buffer>> made =
      or_out_of_memory([&]() -> StatusOr<Ref<Buffer>> { return buffer_of(dtype, shape); });
  if (!made.ok() || !*made) {
    return resource_exhausted("out of memory: a ", dtype, " tensor of shape ", shape, " needs ",
                              shape.num_bytes(size_of(dtype)), " bytes");
  }
  void* data = (*made)->data();
  return Tensor(dtype, std::move(shape), *std::move(made), data);
}

Tensor::Tensor(DType dtype, Shape shape) {
  StatusOr<Tensor> tensor = allocate(dtype, std::move(shape));
  if (!tensor.ok()) throw_out_of_memory();
  *this = *std::move(tensor);
}

Tensor Tensor::string(std::string_view text) {
  StringTensorBuilder builder{Shape()};
  builder.set(0, text);
  return std::move(builder).build();
}

Tensor Tensor::strings(Shape shape, std::span<const std::string> texts) {
  StringTensorBuilder builder(std::move(shape));
  for (size_t i = 0; i < texts.size(); ++i) builder.set(static_cast<int64_t>(i), texts[i]);
  return std::move(builder).build();
}

Tensor Tensor::object(DType dtype, Ref<Object> object) {
  Tensor tensor(dtype, Shape());
  *tensor.mutable_data<Ref<Object>>() = std::move(object);
  return tensor;
}

StatusOr<Tensor> Tensor::lent(DType dtype, Shape shape, const void* data,
                              std::function<void()> release, Device* device) {
  Status status = Shape::make(shape.dims()).status();
  if (status.ok() && (is_object(dtype) || dtype == DType::kInvalid)) {
    status = invalid_argument("a tensor of ", dtype, " cannot be lent");
  }
  const size_t bytes = status.ok() ? shape.num_bytes(size_of(dtype)) : 0;
  if (status.ok() && !data && bytes > 0) {
    status = invalid_argument(bytes, " bytes are lent at a null pointer");
  }
  const bool aligned = reinterpret_cast<uintptr_t>(data) % kLentAlignment == 0;
  if (status.ok() && device && !aligned) {
    status = invalid_argument("a device's memory is lent that is not aligned to ", kLentAlignment,
                              " bytes");
  }
  if (status.ok() && aligned) {
    Ref<Buffer> memory = Buffer::lent(data, bytes, std::move(release), device);
    return Tensor(dtype, std::move(shape), std::move(memory), const_cast<void*>(data));
  }
  StatusOr<Tensor> copy = Tensor();
  if (status.ok()) {
    copy = allocate(dtype, std::move(shape));
  } else {
    copy = status;
  }
  if (copy.ok() && bytes > 0) std::memcpy(copy->mutable_raw(), data, bytes);
  if (release) release();
  return copy;
}

Tensor Tensor::keep() const { return buffer_ && buffer_->transient() ? clone() : *this; }

Tensor Tensor::clone() const {
  if (!has_value()) return {};
  if (dtype_ == DType::kString) {
    StringTensorBuilder builder(shape_);
    const auto views = span<std::string_view>();
    for (size_t i = 0; i < views.size(); ++i) builder.set(static_cast<int64_t>(i), views[i]);
    return std::move(builder).build();
  }
  Tensor copy(dtype_, shape_);
  if (is_object(dtype_)) {
    std::copy_n(data<Ref<Object>>(), num_elements(), copy.mutable_data<Ref<Object>>());
  } else if (num_bytes() > 0) {
    std::memcpy(copy.data_, data_, num_bytes());
  }
  return copy;
}

Tensor Tensor::slice(int64_t begin, int64_t count) const {
  Shape shape = shape_;
  shape.set(0, count);
  const int64_t row_bytes = shape_.product(1, rank()) * static_cast<int64_t>(size_of(dtype_));
  return Tensor(dtype_, std::move(shape), buffer_, static_cast<char*>(data_) + begin * row_bytes);
}

int64_t integer_at(const Tensor& tensor, int64_t index) {
  int64_t value = 0;
  visit<IntegerTypes>(tensor.dtype(),
                      [&]<class T>() { value = static_cast<int64_t>(tensor.data<T>()[index]); });
  return value;
}

std::vector<int64_t> integers_of(const Tensor& tensor) {
  std::vector<int64_t> values(static_cast<size_t>(tensor.num_elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = integer_at(tensor, static_cast<int64_t>(i));
  }
  return values;
}

std::string to_string(const Tensor& tensor) {
  constexpr int64_t kShown = 8;
  std::string text = cat(tensor.dtype(), " ", tensor.shape(), ":");
  const int64_t count = tensor.num_elements();
  for (int64_t i = 0; i < std::min(count, kShown); ++i) {
    text += ' ';
    const bool real = visit<RealTypes>(
        tensor.dtype(), [&]<class T>() { text += cat(static_cast<double>(tensor.data<T>()[i])); });
    if (tensor.dtype() == DType::kBool) {
      text += cat(tensor.data<bool>()[i]);
    } else if (tensor.dtype() == DType::kString) {
      text += cat("\"", json_escape(tensor.data<std::string_view>()[i]), "\"");
    } else if (!real) {
      text += "?";
    }
  }
  return count > kShown ? text + " ..." : text;
}

StringTensorBuilder::StringTensorBuilder(Shape shape)
    : shape_(std::move(shape)), buffer_(new StringBuffer(shape_.num_elements())) {}

void StringTensorBuilder::share(const Tensor& tensor) {
  if (tensor.buffer()) buffer_->hold(tensor.buffer());
}

void StringTensorBuilder::set(int64_t index, std::string_view text) {
  constexpr size_t kBlock = 4096;
  if (text.empty()) return set_view(index, {});
  if (!block_ || block_->size() - used_ < text.size()) {
    block_ = Buffer::host(std::max(kBlock, text.size()));
    if (!block_) throw_out_of_memory();
    buffer_->hold(block_);
    used_ = 0;
  }
  char* place = static_cast<char*>(block_->data()) + used_;
  std::memcpy(place, text.data(), text.size());
  used_ += text.size();
  set_view(index, {place, text.size()});
}

Tensor StringTensorBuilder::build() && {
  void* data = buffer_->data();
  return Tensor(DType::kString, std::move(shape_), Ref<Buffer>(buffer_), data);
}

}  // namespace tenon
