#include "tenon/data/files.h"

namespace tenon::data {

namespace {

// Type byte of an IDX file (http://yann.lecun.com/exdb/mnist/): its dtype.
struct IdxType {
  uint8_t code;
  DType dtype;
};
constexpr IdxType kIdxTypes[] = {{0x08, DType::kUint8}, {0x09, DType::kInt8},
                                 {0x0b, DType::kInt16}, {0x0c, DType::kInt32},
                                 {0x0d, DType::kFloat}, {0x0e, DType::kDouble}};

StatusOr<Tensor> parse_idx(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (bytes.size() < 4 || byte(0) != 0 || byte(1) != 0) {
    return invalid_argument("not an IDX file: it does not start with two zero bytes");
  }
  DType dtype = DType::kInvalid;
  for (const IdxType& type : kIdxTypes) {
    if (type.code == byte(2)) dtype = type.dtype;
  }
  if (dtype == DType::kInvalid) {
    return invalid_argument("not an IDX file: type ", static_cast<int>(byte(2)), " is not known");
  }
  const size_t rank = byte(3), header = 4 + 4 * rank;
  if (bytes.size() < header) return data_loss("the header is cut off");
  std::vector<int64_t> dims;
  for (size_t i = 0; i < rank; ++i) {
    uint32_t dim = 0;
    for (size_t b = 0; b < 4; ++b) dim = (dim << 8) | byte(4 + 4 * i + b);
    dims.push_back(dim);
  }
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, size_of(dtype)));
  const size_t size = size_of(dtype), count = static_cast<size_t>(shape.num_elements());
  if (bytes.size() - header != count * size) {
    return data_loss("shape ", shape, " takes ", count * size, " bytes, the file holds ",
                     bytes.size() - header);
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  char* out = static_cast<char*>(tensor.mutable_raw());
  for (size_t i = 0; i < count; ++i) {
    // Big-endian elements.
    for (size_t b = 0; b < size; ++b) out[i * size + b] = bytes[header + i * size + size - 1 - b];
  }
  return tensor;
}

}  // namespace

StatusOr<Tensor> decode_idx(std::string_view bytes, const std::string& name) {
  StatusOr<Tensor> tensor = parse_idx(bytes);
  if (!tensor.ok()) return with_context(tensor.status(), name);
  return tensor;
}

}  // namespace tenon::data
