#include "tenon/core/tensor.h"

#include "tenon/base/log.h"

namespace tenon {

StatusOr<Tensor> Tensor::allocate(DType dtype, Shape shape) {
  const int64_t count = shape.num_elements();
  if (dtype == DType::kString) {
    Ref<StringBuffer> buffer(new StringBuffer(count));
    void* data = buffer->data();
    return Tensor(dtype, std::move(shape), Ref<Buffer>(buffer), data);
  }
  if (is_object(dtype)) {
    Ref<ObjectBuffer> buffer(new ObjectBuffer(count));
    void* data = buffer->data();
    return Tensor(dtype, std::move(shape), Ref<Buffer>(buffer), data);
  }
  const size_t bytes = static_cast<size_t>(count) * size_of(dtype);
  Ref<Buffer> buffer = Buffer::host(bytes);
  if (!buffer) {
    return resource_exhausted("out of memory: a ", dtype, " tensor of shape ", shape, " needs ",
                              bytes, " bytes");
  }
  void* data = buffer->data();
  return Tensor(dtype, std::move(shape), std::move(buffer), data);
}

Tensor::Tensor(DType dtype, Shape shape) {
  StatusOr<Tensor> tensor = allocate(dtype, std::move(shape));
  TENON_CHECK(tensor.ok());
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

Tensor Tensor::keep() const { return buffer_ && buffer_->transient() ? clone() : *this; }

Tensor Tensor::clone() const {
  if (!has_value()) return {};
  Tensor copy(dtype_, shape_);
  if (dtype_ == DType::kString) {
    StringTensorBuilder builder(shape_);
    const auto views = span<std::string_view>();
    for (size_t i = 0; i < views.size(); ++i) builder.set(static_cast<int64_t>(i), views[i]);
    return std::move(builder).build();
  }
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
    TENON_CHECK(block_);
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
