#include "tenon/serving/open_inference/datatype.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace tenon::serving {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::pair<DType, std::string_view> kDatatypes[] = {
    {DType::kBool, "BOOL"},     {DType::kUint8, "UINT8"},   {DType::kUint16, "UINT16"},
    {DType::kUint32, "UINT32"}, {DType::kUint64, "UINT64"}, {DType::kInt8, "INT8"},
    {DType::kInt16, "INT16"},   {DType::kInt32, "INT32"},   {DType::kInt64, "INT64"},
    {DType::kHalf, "FP16"},     {DType::kFloat, "FP32"},    {DType::kDouble, "FP64"},
    {DType::kBfloat16, "BF16"}, {DType::kString, "BYTES"}};

Status wrong_size(std::string_view name, DType dtype, const Shape& shape, size_t found) {
  return invalid_argument("input ", name, ": ", found, " bytes are given, but a tensor of ",
                          datatype_name(dtype), " and shape ", shape, " has ",
                          shape.num_bytes(size_of(dtype)));
}

// Takes one element off the front; false where there is none.
bool take_element(std::string_view& bytes, std::string_view& element) {
  uint32_t size = 0;
  if (bytes.size() < sizeof(size)) return false;
  std::memcpy(&size, bytes.data(), sizeof(size));
  bytes.remove_prefix(sizeof(size));
  if (bytes.size() < size) return false;
  element = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

StatusOr<Tensor> strings_of_bytes(std::string_view name, const Shape& shape,
                                  std::string_view bytes) {
  const int64_t count = shape.num_elements();
  const auto wrong = [&] {
    return invalid_argument("input ", name, ": the bytes are not ", count,
                            " elements of BYTES, each a length in 4 bytes and then as many bytes");
  };
  if (bytes.size() / sizeof(uint32_t) < static_cast<size_t>(count)) return wrong();
  StringTensorBuilder strings(shape);
  for (int64_t i = 0; i < count; ++i) {
    std::string_view element;
    if (!take_element(bytes, element)) return wrong();
    strings.set(i, element);
  }
  if (!bytes.empty()) return wrong();
  return std::move(strings).build();
}

}  // namespace

std::string_view datatype_name(DType dtype) {
  for (const auto& [known, name] : kDatatypes) {
    if (known == dtype) return name;
  }
  return {};
}

std::optional<DType> parse_datatype(std::string_view name) {
  for (const auto& [dtype, known] : kDatatypes) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

StatusOr<Tensor> tensor_of_bytes(std::string_view name, DType dtype, const Shape& shape,
                                 std::string_view bytes) {
  if (dtype == DType::kString) return strings_of_bytes(name, shape, bytes);
  if (bytes.size() != shape.num_bytes(size_of(dtype))) {
    return wrong_size(name, dtype, shape, bytes.size());
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  if (bytes.empty()) return tensor;
  if (dtype == DType::kBool) {  // any other byte than 0 and 1 would be no bool
    bool* const values = tensor.mutable_data<bool>();
    for (size_t i = 0; i < bytes.size(); ++i) values[i] = bytes[i] != 0;
    return tensor;
  }
  std::memcpy(tensor.mutable_raw(), bytes.data(), bytes.size());
  return tensor;
}

Status append_tensor_bytes(std::string& out, const Tensor& tensor) {
  if (tensor.num_elements() == 0) return absl::OkStatus();
  if (tensor.dtype() != DType::kString) {
    out.append(static_cast<const char*>(tensor.raw()), tensor.num_bytes());
    return absl::OkStatus();
  }
  for (const std::string_view element : tensor.span<std::string_view>()) {
    if (element.size() > std::numeric_limits<uint32_t>::max()) {
      return resource_exhausted("an element of BYTES has ", element.size(),
                                " bytes, the protocol takes 4294967295");
    }
    const auto size = static_cast<uint32_t>(element.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof(size));
    out.append(element);
  }
  return absl::OkStatus();
}

}  // namespace tenon::serving
