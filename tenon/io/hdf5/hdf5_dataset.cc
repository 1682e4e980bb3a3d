#include <map>

#include "tenon/io/gzip.h"
#include "tenon/io/hdf5/hdf5_format.h"

namespace tenon::hdf5 {
namespace {

// The objects of the global heap collections that were asked for so far.
class GlobalHeap {
 public:
  explicit GlobalHeap(std::string_view file) : file_(file) {}

  StatusOr<std::string_view> find(uint64_t address, uint32_t index) {
    auto [collection, is_new] = collections_.try_emplace(address);
    if (is_new) TENON_RETURN_IF_ERROR(read_collection(address, collection->second));
    const auto object = collection->second.find(index);
    if (object == collection->second.end()) {
      return data_loss("HDF5 string ", index, " is not in the heap at byte ", address);
    }
    return object->second;
  }

 private:
  using Objects = std::map<uint32_t, std::string_view>;

  Status read_collection(uint64_t address, Objects& objects) const {
    const Status broken = data_loss("broken HDF5 global heap at byte ", address);
    if (address > file_.size()) return broken;
    ByteReader reader(file_, address);
    const bool signature = reader.read_bytes(4) == "GCOL";
    reader.skip(4);
    const auto size = reader.read<uint64_t>();
    if (!signature || !reader.ok() || size < 16 || size > file_.size() - address) return broken;
    const uint64_t end = address + size;
    while (reader.offset() + 16 <= end) {
      const auto index = reader.read<uint16_t>();
      reader.skip(6);
      const auto length = reader.read<uint64_t>();
      if (index == 0) break;  // free space up to the end
      if (length > end - reader.offset()) return broken;
      objects[index] = reader.read_bytes(length);
      reader.skip(std::min((8 - length % 8) % 8, uint64_t{reader.remaining()}));
    }
    return absl::OkStatus();
  }

  std::string_view file_;
  std::map<uint64_t, Objects> collections_;
};

std::string_view without_padding(std::string_view text, bool space_padded) {
  if (!space_padded) return text.substr(0, text.find('\0'));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

StatusOr<Tensor> decode_strings(std::string_view file, const Datatype& type, const Shape& shape,
                                std::string_view bytes) {
  StringTensorBuilder builder(shape);
  GlobalHeap heap(file);
  uint64_t left = file.size();  // no two strings share bytes: all of them fit into the file
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    std::string_view element = bytes.substr(static_cast<size_t>(i) * type.size, type.size);
    if (!type.variable) {
      builder.set(i, without_padding(element, type.space_padded));
      continue;
    }
    ByteReader reader(element);
    const auto length = reader.read<uint32_t>();
    const auto address = reader.read<uint64_t>();
    const auto index = reader.read<uint32_t>();
    if (length == 0) continue;
    TENON_ASSIGN_OR_RETURN(const std::string_view text, heap.find(address, index));
    if (length > text.size() || length > left) return data_loss("an HDF5 string is cut off");
    left -= length;
    builder.set(i, text.substr(0, length));
  }
  return std::move(builder).build();
}

// Shuffled bytes stand first byte of every element, then second byte of every element, ...
std::string unshuffle(std::string_view bytes, size_t element_size) {
  std::string out(bytes);
  const size_t count = bytes.size() / element_size;
  for (size_t byte = 0; byte < element_size; ++byte) {
    for (size_t i = 0; i < count; ++i) out[i * element_size + byte] = bytes[byte * count + i];
  }
  return out;
}

class ChunkReader {
 public:
  ChunkReader(std::string_view file, const Layout& layout, const Shape& shape, size_t element_size,
              std::span<const Filter> filters)
      : file_(file),
        layout_(layout),
        shape_(shape),
        element_size_(element_size),
        filters_(filters) {}

  StatusOr<std::string> read() {
    chunk_bytes_ = element_size_;
    expected_ = 1;
    for (int axis = 0; axis < shape_.rank(); ++axis) {
      const uint64_t width = layout_.chunk[static_cast<size_t>(axis)];
      if (__builtin_mul_overflow(chunk_bytes_, width, &chunk_bytes_)) return broken();
      expected_ *= (static_cast<uint64_t>(shape_[axis]) + width - 1) / width;
    }
    constexpr uint64_t kLargestChunk = uint64_t{1} << 32;
    if (chunk_bytes_ > kLargestChunk) return broken();
    out_.resize(static_cast<size_t>(shape_.num_elements()) * element_size_);
    if (expected_ == 0) return std::move(out_);
    TENON_RETURN_IF_ERROR(read_node(layout_.address, -1));
    if (found_ != expected_) {
      return unimplemented("HDF5 dataset with ", found_, " of its ", expected_, " chunks written");
    }
    return std::move(out_);
  }

 private:
  Status broken() const { return data_loss("broken HDF5 chunk index at byte ", layout_.address); }

  Status read_node(uint64_t address, int level) {
    if (address > file_.size()) return broken();
    ByteReader reader(file_, address);
    const bool signature = reader.read_bytes(4) == "TREE" && reader.read<uint8_t>() == 1;
    const int own_level = reader.read<uint8_t>();
    const int count = reader.read<uint16_t>();
    reader.skip(16);  // siblings
    if (!signature || !reader.ok() || (level >= 0 && own_level != level) ||
        ++nodes_ > file_.size() / 24) {
      return broken();
    }
    for (int i = 0; i < count; ++i) {
      const auto size = reader.read<uint32_t>();
      const auto mask = reader.read<uint32_t>();
      Dims origin;
      for (int axis = 0; axis < shape_.rank(); ++axis) origin.push_back(reader.read<int64_t>());
      reader.skip(8);
      const auto child = reader.read<uint64_t>();
      if (!reader.ok()) return broken();
      TENON_RETURN_IF_ERROR(own_level == 0 ? read_chunk(child, size, mask, origin)
                                           : read_node(child, own_level - 1));
    }
    return absl::OkStatus();
  }

  Status read_chunk(uint64_t address, uint32_t size, uint32_t mask, const Dims& origin) {
    if (address > file_.size() || size > file_.size() - address || ++found_ > expected_) {
      return broken();
    }
    std::string bytes(file_.substr(address, size));
    for (size_t i = filters_.size(); i-- > 0;) {
      if (mask & (1u << i)) continue;
      if (filters_[i].id == Filter::kDeflate) {
        TENON_ASSIGN_OR_RETURN(bytes, inflate(bytes, DeflateFormat::kZlib, chunk_bytes_,
                                              cat("HDF5 chunk at byte ", address)));
      } else {
        bytes = unshuffle(bytes, element_size_);
      }
    }
    if (bytes.size() != chunk_bytes_) return broken();
    return place(bytes, origin);
  }

  // Chunks at the border reach beyond the dataset: only what lies inside is copied, row by row.
  Status place(std::string_view bytes, const Dims& origin) {
    const auto rank = static_cast<size_t>(shape_.rank());
    Dims inside(rank);
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t size = shape_[static_cast<int>(axis)], width = layout_.chunk[axis];
      if (origin[axis] < 0 || origin[axis] >= size || origin[axis] % width != 0) return broken();
      inside[axis] = std::min(width, size - origin[axis]);
    }
    Dims at(rank, 0);
    for (;;) {
      uint64_t from = 0, to = 0;
      for (size_t axis = 0; axis < rank; ++axis) {
        from = from * layout_.chunk[axis] + static_cast<uint64_t>(at[axis]);
        to = to * static_cast<uint64_t>(shape_[static_cast<int>(axis)]) +
             static_cast<uint64_t>(origin[axis] + at[axis]);
      }
      const size_t row = (rank > 0 ? static_cast<size_t>(inside[rank - 1]) : 1) * element_size_;
      std::memcpy(out_.data() + to * element_size_, bytes.data() + from * element_size_, row);
      size_t axis = rank > 0 ? rank - 1 : 0;
      while (axis > 0 && ++at[axis - 1] == inside[axis - 1]) at[--axis] = 0;
      if (axis == 0) return absl::OkStatus();
    }
  }

  std::string_view file_;
  const Layout& layout_;
  const Shape& shape_;
  size_t element_size_;
  std::span<const Filter> filters_;
  uint64_t chunk_bytes_ = 0;
  uint64_t expected_ = 0;  // chunks of the dataset
  uint64_t found_ = 0;
  uint64_t nodes_ = 0;
  std::string out_;
};

}  // namespace

StatusOr<std::string> read_chunks(std::string_view file, const Layout& layout, const Shape& shape,
                                  size_t element_size, std::span<const Filter> filters) {
  if (layout.chunk.size() != static_cast<size_t>(shape.rank())) {
    return data_loss("HDF5 chunks of rank ", layout.chunk.size(), " in a dataset of rank ",
                     shape.rank());
  }
  return ChunkReader(file, layout, shape, element_size, filters).read();
}

StatusOr<Tensor> decode_elements(std::string_view file, const Datatype& type, const Shape& shape,
                                 std::string_view bytes) {
  const auto count = static_cast<uint64_t>(shape.num_elements());
  if (count > bytes.size() / type.size) {
    return data_loss("HDF5 elements are cut off: shape ", shape, " needs ", count, " of ",
                     type.size, " bytes, found ", bytes.size());
  }
  if (type.dtype == DType::kString) return decode_strings(file, type, shape, bytes);
  if (type.dtype == DType::kInvalid) return unimplemented("opaque HDF5 elements");
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(type.dtype, shape));
  char* out = static_cast<char*>(tensor.mutable_raw());
  const size_t size = count * type.size;
  std::copy_n(bytes.data(), size, out);
  if (type.big_endian) {
    for (size_t i = 0; i < size; i += type.size) std::reverse(out + i, out + i + type.size);
  }
  if (type.dtype == DType::kBool) {
    for (size_t i = 0; i < size; ++i) out[i] = out[i] != 0;
  }
  return tensor;
}

}  // namespace tenon::hdf5
