#include "tenon/serving/grpc/tensor_message.h"

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"

namespace tenon::serving {
namespace {

// A request of a few bytes may ask for one value repeated: it gets no more than this.
constexpr size_t kMostBytes = size_t{1} << 30;

// Fields of TensorProto.
constexpr uint32_t kDtype = 1, kShape = 2;

void append_key(std::string& out, uint32_t number) { append_varint(out, number << 3 | 2); }

// Values that stand in a packed field as they do in memory.
void append_plain(std::string& out, uint32_t number, const void* values, size_t bytes) {
  if (bytes == 0) return;
  append_key(out, number);
  append_varint(out, bytes);
  out.append(static_cast<const char*>(values), bytes);
}

// Integers: each a varint; negative ones have ten bytes, whatever their type.
template <class T>
void append_varints(std::string& out, uint32_t number, std::span<const T> values) {
  if (values.empty()) return;
  append_key(out, number);
  const size_t start = out.size();
  for (const T value : values) {
    if constexpr (std::is_signed_v<T>) {
      append_varint(out, static_cast<uint64_t>(static_cast<int64_t>(value)));
    } else {
      append_varint(out, value);
    }
  }
  insert_length(out, start);
}

// In the field of the type; false for types that have none, or whose values are no numbers.
bool append_values(std::string& out, const Tensor& tensor) {
  const auto varints = [&]<class T>(uint32_t number) {
    append_varints(out, number, tensor.span<T>());
    return true;
  };
  const auto plain = [&](uint32_t number) {
    append_plain(out, number, tensor.num_bytes() > 0 ? tensor.raw() : nullptr, tensor.num_bytes());
    return true;
  };
  switch (tensor.dtype()) {
    case DType::kFloat:
      return plain(5);
    case DType::kDouble:
      return plain(6);
    case DType::kInt32:
      return varints.operator()<int32_t>(7);
    case DType::kInt16:
      return varints.operator()<int16_t>(7);
    case DType::kInt8:
      return varints.operator()<int8_t>(7);
    case DType::kUint8:
      return varints.operator()<uint8_t>(7);
    case DType::kUint16:
      return varints.operator()<uint16_t>(7);
    case DType::kComplex64:
      return plain(9);
    case DType::kInt64:
      return varints.operator()<int64_t>(10);
    case DType::kBool:
      return plain(11);
    case DType::kComplex128:
      return plain(12);
    case DType::kHalf:
    case DType::kBfloat16:
      if (tensor.num_elements() > 0) {
        append_varints(out, 13,
                       std::span(static_cast<const uint16_t*>(tensor.raw()),
                                 static_cast<size_t>(tensor.num_elements())));
      }
      return true;
    case DType::kUint32:
      return varints.operator()<uint32_t>(16);
    case DType::kUint64:
      return varints.operator()<uint64_t>(17);
    default:
      return false;
  }
}

}  // namespace

StatusOr<Tensor> parse_input_tensor(std::string_view name, std::string_view message) {
  StatusOr<Tensor> parsed = parse_tensor(message, kMostBytes);
  if (parsed.ok()) return parsed;
  return invalid_argument("tensor parsing error: ", name, ": ", message_of(parsed.status()));
}

void append_output_tensor(std::string& out, const Tensor& tensor, bool as_content) {
  if (!as_content && tensor.dtype() != DType::kString) {
    const size_t start = out.size();
    out.reserve(start + tensor.num_bytes() + 64);
    append_varint_field(out, kDtype, static_cast<uint64_t>(tensor.dtype()));
    append_message(out, kShape, [&] { append_shape(out, PartialShape(tensor.shape())); });
    if (append_values(out, tensor)) return;
    out.resize(start);
  }
  append_tensor(out, tensor);
}

}  // namespace tenon::serving
