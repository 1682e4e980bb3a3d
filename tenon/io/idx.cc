#include "tenon/io/idx.h"

#include "tenon/io/byte_source.h"
#include "tenon/io/bytes.h"

namespace tenon {
namespace {

struct IdxType {
  char code;
  DType dtype;
};
constexpr IdxType kIdxTypes[] = {{0x08, DType::kUint8}, {0x09, DType::kInt8},
                                 {0x0b, DType::kInt16}, {0x0c, DType::kInt32},
                                 {0x0d, DType::kFloat}, {0x0e, DType::kDouble}};

constexpr uint64_t kIdxLimit = uint64_t{4} << 30;

}  // namespace

StatusOr<Tensor> read_idx(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(auto source, open_source(path));
  char magic[4];
  TENON_ASSIGN_OR_RETURN(const size_t got, read_fully(*source, magic));
  DType dtype = DType::kInvalid;
  for (const IdxType& type : kIdxTypes) {
    if (type.code == magic[2]) dtype = type.dtype;
  }
  if (got < 4 || magic[0] != 0 || magic[1] != 0 || dtype == DType::kInvalid || magic[3] < 0) {
    return invalid_argument("'", path, "' is no IDX file");
  }
  std::string header(static_cast<size_t>(magic[3]) * 4, '\0');
  TENON_ASSIGN_OR_RETURN(const size_t header_got, read_fully(*source, header));
  if (header_got < header.size()) return data_loss("'", path, "' is cut off in its dimensions");
  std::vector<int64_t> dims;
  for (size_t i = 0; i < header.size(); i += 4) {
    dims.push_back(__builtin_bswap32(load_le<uint32_t>(header.data() + i)));
  }
  const size_t size = size_of(dtype);
  StatusOr<Shape> shape = Shape::make(dims, size);
  if (!shape.ok()) return with_context(shape.status(), path);
  TENON_ASSIGN_OR_RETURN(std::string bytes, read_all(*source, kIdxLimit));
  const uint64_t expected = static_cast<uint64_t>(shape->num_elements()) * size;
  if (bytes.size() != expected) {
    return data_loss("'", path, "' has ", bytes.size(), " bytes of elements, its shape ", *shape,
                     " needs ", expected);
  }
  for (size_t i = 0; size > 1 && i < bytes.size(); i += size) {
    std::reverse(bytes.data() + i, bytes.data() + i + size);
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, *std::move(shape)));
  std::memcpy(tensor.mutable_raw(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace tenon
