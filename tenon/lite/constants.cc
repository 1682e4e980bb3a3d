#include "tenon/lite/constants.h"

#include "tenon/lite/sparse.h"

namespace tenon::lite {
namespace {

constexpr int kInt4 = 17, kInt2 = 19, kUint4 = 20;  // TensorType

constexpr DType kTypes[] = {
    DType::kFloat,  DType::kHalf,       DType::kInt32,  DType::kUint8,     DType::kInt64,
    DType::kString, DType::kBool,       DType::kInt16,  DType::kComplex64, DType::kInt8,
    DType::kDouble, DType::kComplex128, DType::kUint64, DType::kResource,  DType::kVariant,
    DType::kUint32, DType::kUint16,     DType::kInt8,   DType::kBfloat16,  DType::kInt8,
    DType::kUint8};

int bits_of(int type) { return type == kInt4 || type == kUint4 ? 4 : type == kInt2 ? 2 : 8; }

// Elements that share bytes, the first in the lowest bits.
Status unpack(std::string_view bytes, int type, Tensor& value) {
  const int bits = bits_of(type);
  const int64_t count = value.num_elements();
  const int64_t in_byte = 8 / bits;
  if (static_cast<int64_t>(bytes.size()) != (count + in_byte - 1) / in_byte) {
    return invalid_argument("a buffer of ", bytes.size(), " bytes holds ", count, " elements of ",
                            bits, " bits");
  }
  auto* out = static_cast<uint8_t*>(value.mutable_raw());
  const int mask = (1 << bits) - 1, sign = type == kUint4 ? 0 : 1 << (bits - 1);
  for (int64_t i = 0; i < count; ++i) {
    const int byte = static_cast<uint8_t>(bytes[static_cast<size_t>(i / in_byte)]);
    const int field = (byte >> (i % in_byte * bits)) & mask;
    out[i] = static_cast<uint8_t>((field ^ sign) - sign);
  }
  return absl::OkStatus();
}

int32_t int32_at(std::string_view bytes, size_t index) {
  int32_t value;
  std::memcpy(&value, bytes.data() + 4 * index, 4);
  return value;
}

// A count, the offsets of all strings and of the end, the characters.
StatusOr<Tensor> strings_of(std::string_view bytes, const Shape& shape) {
  const auto wrong = [] { return invalid_argument("a buffer of strings is damaged"); };
  if (bytes.size() < 4) return wrong();
  const int64_t count = int32_at(bytes, 0);
  if (count != shape.num_elements() || count > static_cast<int64_t>(bytes.size() / 4) - 2) {
    return wrong();
  }
  StringTensorBuilder builder(shape);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = int32_at(bytes, static_cast<size_t>(i) + 1);
    const int64_t end = int32_at(bytes, static_cast<size_t>(i) + 2);
    if (begin < 0 || end < begin || end > static_cast<int64_t>(bytes.size())) return wrong();
    builder.set(i, bytes.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  }
  return std::move(builder).build();
}

}  // namespace

StatusOr<DType> dtype_of_tensor(int type) {
  if (type < 0 || type >= static_cast<int>(std::size(kTypes))) {
    return unimplemented("a tensor has type ", type, ", which is not known");
  }
  if (is_left_out(kTypes[type])) {
    return unimplemented("a tensor is ", kTypes[type],
                         ", which a small build does not compute with");
  }
  return kTypes[type];
}

int tensor_type_of(DType dtype) {
  const auto* it = std::find(std::begin(kTypes), std::end(kTypes), dtype);
  return it == std::end(kTypes) ? -1 : static_cast<int>(it - kTypes);
}

StatusOr<Tensor> constant_value(const ModelFile& file, const schema::Tensor& tensor) {
  TENON_ASSIGN_OR_RETURN(const DType dtype, dtype_of_tensor(tensor.type()));
  std::vector<int64_t> dims;
  if (tensor.shape()) dims.assign(tensor.shape()->begin(), tensor.shape()->end());
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, std::max<size_t>(size_of(dtype), 1)));
  const std::string_view bytes = file.buffer(tensor);
  if (dtype == DType::kString) return strings_of(bytes, shape);
  if (is_object(dtype)) return invalid_argument("a ", dtype, " has a buffer");
  if (tensor.sparsity()) {
    if (bits_of(tensor.type()) != 8) return unimplemented("sparse weights of ", "less than 8 bits");
    return dense_value(*tensor.sparsity(), dtype, shape, bytes);
  }
  const size_t packed = static_cast<size_t>(bits_of(tensor.type()));
  if (packed == 8 && bytes.size() != shape.num_bytes(size_of(dtype))) {
    return invalid_argument("a buffer of ", bytes.size(), " bytes holds a ", dtype,
                            " tensor of shape ", shape);
  }
  if (packed != 8 && shape.num_elements() / 4 > static_cast<int64_t>(bytes.size())) {
    return invalid_argument("a buffer of ", bytes.size(), " bytes holds a tensor of shape ", shape);
  }
  TENON_ASSIGN_OR_RETURN(Tensor value, Tensor::allocate(dtype, std::move(shape)));
  if (packed != 8) {
    TENON_RETURN_IF_ERROR(unpack(bytes, tensor.type(), value));
  } else if (dtype == DType::kBool) {
    for (size_t i = 0; i < bytes.size(); ++i) value.mutable_data<bool>()[i] = bytes[i] != 0;
  } else if (!bytes.empty()) {
    std::memcpy(value.mutable_raw(), bytes.data(), bytes.size());
  }
  return value;
}

}  // namespace tenon::lite
