#include "tenon/core/tensor_message.h"
#include "tenon/serving/tensor_message.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace tenon::serving {
namespace {

using tensorflow::TensorProto;

// A request of a few bytes may ask for one value repeated: it gets no more than this.
constexpr size_t kMostBytes = size_t{1} << 30;

// Fields whose values stand in the message as they do in a tensor.
template <class T>
const auto* plain_values(const TensorProto& message) {
  if constexpr (std::is_same_v<T, float>) {
    return &message.float_val();
  } else if constexpr (std::is_same_v<T, double>) {
    return &message.double_val();
  } else if constexpr (std::is_same_v<T, int32_t>) {
    return &message.int_val();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return &message.int64_val();
  } else if constexpr (std::is_same_v<T, uint32_t>) {
    return &message.uint32_val();
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return &message.uint64_val();
  } else {
    return &message.bool_val();
  }
}
using PlainTypes = TypeList<float, double, int32_t, int64_t, uint32_t, uint64_t, bool>;

template <class T>
auto* plain_values(TensorProto& message) {
  using Field = std::remove_cvref_t<decltype(*plain_values<T>(std::as_const(message)))>;
  return const_cast<Field*>(plain_values<T>(std::as_const(message)));
}

// All values of `message`, in the field of their type. False where some are missing.
bool copy_values(const TensorProto& message, DType dtype, const Shape& shape, Tensor& tensor) {
  bool copied = false;
  visit<PlainTypes>(dtype, [&]<class T>() {
    const auto& values = *plain_values<T>(message);
    if (values.size() < shape.num_elements()) return;
    StatusOr<Tensor> made = Tensor::allocate(dtype, shape);
    if (!made.ok()) return;
    tensor = *std::move(made);
    if (tensor.num_bytes() > 0) {
      std::memcpy(tensor.mutable_raw(), values.data(), tensor.num_bytes());
    }
    copied = true;
  });
  return copied;
}

bool copy_content(const TensorProto& message, DType dtype, const Shape& shape, Tensor& tensor) {
  const std::string& content = message.tensor_content();
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * size_of(dtype);
  if (is_object(dtype) || dtype == DType::kBool || content.size() != bytes) return false;
  StatusOr<Tensor> made = Tensor::allocate(dtype, shape);
  if (!made.ok()) return false;
  tensor = *std::move(made);
  std::memcpy(tensor.mutable_raw(), content.data(), bytes);
  return true;
}

bool copy_strings(const TensorProto& message, const Shape& shape, Tensor& tensor) {
  const int64_t count = shape.num_elements();
  if (message.string_val_size() < count) return false;
  StringTensorBuilder builder(shape);
  for (int64_t i = 0; i < count; ++i) builder.set(i, message.string_val(static_cast<int>(i)));
  tensor = std::move(builder).build();
  return true;
}

// The usual request: the tensor is given whole. False for every other.
bool copy_whole(const TensorProto& message, Tensor& tensor) {
  const auto dtype = dtype_from_enum(message.dtype());
  if (!dtype || message.tensor_shape().unknown_rank()) return false;
  std::vector<int64_t> dims;
  for (const auto& dim : message.tensor_shape().dim()) dims.push_back(dim.size());
  const StatusOr<Shape> shape = Shape::make(dims, size_of(*dtype));
  if (!shape.ok()) return false;
  if (*dtype == DType::kString) return copy_strings(message, *shape, tensor);
  if (!message.tensor_content().empty()) return copy_content(message, *dtype, *shape, tensor);
  return copy_values(message, *dtype, *shape, tensor);
}

void set_head(const Tensor& tensor, TensorProto& message) {
  message.set_dtype(static_cast<tensorflow::DataType>(tensor.dtype()));
  auto& shape = *message.mutable_tensor_shape();
  for (const int64_t dim : tensor.shape().dims()) shape.add_dim()->set_size(dim);
}

void set_content(const Tensor& tensor, TensorProto& message) {
  if (tensor.dtype() != DType::kString) {
    message.set_tensor_content(tensor.raw(), tensor.num_bytes());
    return;
  }
  for (const std::string_view text : tensor.span<std::string_view>()) {
    message.add_string_val(text.data(), text.size());
  }
}

// Narrow integers, halves and complex numbers: one message value an element, or two.
bool append_widened(const Tensor& tensor, TensorProto& message) {
  using Narrow = TypeList<int8_t, int16_t, uint8_t, uint16_t>;
  const bool narrow = visit<Narrow>(tensor.dtype(), [&]<class T>() {
    for (const T value : tensor.span<T>()) message.add_int_val(value);
  });
  const bool half = visit<TypeList<float16, bfloat16>>(tensor.dtype(), [&]<class T>() {
    const auto* bits = static_cast<const uint16_t*>(tensor.raw());
    for (int64_t i = 0; i < tensor.num_elements(); ++i) message.add_half_val(bits[i]);
  });
  if (tensor.dtype() == DType::kComplex64) {
    for (const std::complex<float> value : tensor.span<std::complex<float>>()) {
      message.add_scomplex_val(value.real());
      message.add_scomplex_val(value.imag());
    }
    return true;
  }
  if (tensor.dtype() == DType::kComplex128) {
    for (const std::complex<double> value : tensor.span<std::complex<double>>()) {
      message.add_dcomplex_val(value.real());
      message.add_dcomplex_val(value.imag());
    }
    return true;
  }
  return narrow || half;
}

}  // namespace

StatusOr<Tensor> tensor_from_message(const std::string& name, const TensorProto& message) {
  Tensor tensor;
  if (copy_whole(message, tensor)) return tensor;
  StatusOr<Tensor> parsed = parse_tensor(message.SerializeAsString(), kMostBytes);
  if (parsed.ok()) return *std::move(parsed);
  return invalid_argument("tensor parsing error: ", name, ": ", message_of(parsed.status()));
}

void tensor_to_message(const Tensor& tensor, bool as_content, TensorProto& message) {
  message.Clear();
  set_head(tensor, message);
  if (as_content || tensor.dtype() == DType::kString) return set_content(tensor, message);
  const bool plain = visit<PlainTypes>(tensor.dtype(), [&]<class T>() {
    auto& values = *plain_values<T>(message);
    values.Resize(static_cast<int>(tensor.num_elements()), T());
    if (tensor.num_bytes() > 0) {
      std::memcpy(values.mutable_data(), tensor.raw(), tensor.num_bytes());
    }
  });
  if (!plain && !append_widened(tensor, message)) set_content(tensor, message);
}

}  // namespace tenon::serving
