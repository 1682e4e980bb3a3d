#include "tenon/io/checkpoint_v1.h"

#include "tenon/io/bytes.h"
#include "tenon/io/wire.h"

namespace tenon {
namespace {

bool is_part(const WireField& field, uint32_t number) {
  return field.number == number && field.type == WireType::kBytes;
}

Status malformed_v1(std::string_view message) {
  return data_loss("malformed ", message, " message");
}

// The single part of `message` with this number, the last one if there are several.
StatusOr<std::string_view> part_of(std::string_view message, uint32_t number,
                                   std::string_view name) {
  WireReader reader(message);
  WireField field;
  std::string_view part;
  while (reader.next(field)) {
    if (is_part(field, number)) part = field.bytes;
  }
  if (reader.malformed()) return malformed_v1(name);
  return part;
}

StatusOr<std::pair<std::string, BundleEntry>> parse_slice_meta(std::string_view bytes) {
  WireReader reader(bytes);
  WireField field;
  std::pair<std::string, BundleEntry> named;
  BundleEntry& entry = named.second;
  while (reader.next(field)) {
    if (is_part(field, 1)) named.first = field.bytes;
    if (is_part(field, 2)) {
      TENON_ASSIGN_OR_RETURN(entry.shape, parse_shape_message(field.bytes));
    }
    if (field.number == 3 && field.type == WireType::kVarint) {
      const int type = static_cast<int>(std::min<uint64_t>(field.value, INT32_MAX));
      const auto dtype = dtype_from_enum(type);
      if (!dtype) return unimplemented("tensors of type number ", type, " are not known");
      entry.dtype = *dtype;
    }
    if (is_part(field, 4)) {
      TENON_ASSIGN_OR_RETURN(TensorSlice slice, parse_slice_message(field.bytes));
      entry.slices.push_back(std::move(slice));
    }
  }
  if (reader.malformed()) return malformed_v1("SavedSliceMeta");
  return named;
}

// Where TensorProto keeps the elements of a dtype. Complex numbers take two values each.
enum class Encoding { kVarint, kFixed32, kFixed64 };
struct ValueField {
  DType dtype;
  uint32_t number;
  Encoding encoding;
};
constexpr ValueField kValueFields[] = {
    {DType::kFloat, 5, Encoding::kFixed32},     {DType::kDouble, 6, Encoding::kFixed64},
    {DType::kInt32, 7, Encoding::kVarint},      {DType::kInt16, 7, Encoding::kVarint},
    {DType::kInt8, 7, Encoding::kVarint},       {DType::kUint8, 7, Encoding::kVarint},
    {DType::kUint16, 7, Encoding::kVarint},     {DType::kQint8, 7, Encoding::kVarint},
    {DType::kQuint8, 7, Encoding::kVarint},     {DType::kQint32, 7, Encoding::kVarint},
    {DType::kComplex64, 9, Encoding::kFixed32}, {DType::kInt64, 10, Encoding::kVarint},
    {DType::kBool, 11, Encoding::kVarint},      {DType::kComplex128, 12, Encoding::kFixed64},
    {DType::kHalf, 13, Encoding::kVarint},      {DType::kBfloat16, 13, Encoding::kVarint},
    {DType::kUint32, 16, Encoding::kVarint},    {DType::kUint64, 17, Encoding::kVarint}};

// Appends to `out` the value or packed values of one field, `size` bytes each.
bool append_values(const WireField& field, Encoding encoding, size_t size, std::string& out) {
  const auto append = [&](uint64_t value) {
    out.append(reinterpret_cast<const char*>(&value), size);  // little-endian: the low bytes
  };
  if (field.type != WireType::kBytes) {
    append(field.value);
    return true;
  }
  std::string_view packed = field.bytes;
  if (encoding != Encoding::kVarint) {
    out += packed;
    return packed.size() % size == 0;
  }
  uint64_t value = 0;
  while (!packed.empty()) {
    if (!read_varint(packed, value)) return false;
    append(value);
  }
  return true;
}

StatusOr<Tensor> decode_string_values(std::string_view proto, const Shape& shape) {
  constexpr uint32_t kStringVal = 8;
  std::vector<std::string_view> texts;
  WireReader reader(proto);
  WireField field;
  while (reader.next(field)) {
    if (is_part(field, kStringVal)) texts.push_back(field.bytes);
  }
  if (reader.malformed()) return malformed_v1("TensorProto");
  if (static_cast<int64_t>(texts.size()) != shape.num_elements()) {
    return data_loss("a tensor of shape ", shape, " has ", texts.size(), " values");
  }
  StringTensorBuilder builder(shape);
  for (size_t i = 0; i < texts.size(); ++i) builder.set(static_cast<int64_t>(i), texts[i]);
  return std::move(builder).build();
}

}  // namespace

StatusOr<Tensor> decode_tensor_values(std::string_view proto, DType dtype, const Shape& shape) {
  if (dtype == DType::kString) return decode_string_values(proto, shape);
  const auto row = std::find_if(std::begin(kValueFields), std::end(kValueFields),
                                [&](const ValueField& f) { return f.dtype == dtype; });
  if (row == std::end(kValueFields)) {
    return unimplemented("values of type ", dtype, " in a TensorProto");
  }
  const size_t unit = is_complex(dtype) ? size_of(dtype) / 2 : size_of(dtype);
  std::string bytes;
  WireReader reader(proto);
  WireField field;
  while (reader.next(field)) {
    if (field.number == row->number && !append_values(field, row->encoding, unit, bytes)) {
      return malformed_v1("TensorProto");
    }
  }
  if (reader.malformed()) return malformed_v1("TensorProto");
  const uint64_t expected = static_cast<uint64_t>(shape.num_elements()) * size_of(dtype);
  if (bytes.size() != expected) {
    return data_loss("a ", dtype, " tensor of shape ", shape, " has ",
                     bytes.size() / size_of(dtype), " values");
  }
  if (dtype == DType::kBool) {
    for (char& byte : bytes) byte = byte != 0;
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor.mutable_raw()));
  return tensor;
}

StatusOr<std::unique_ptr<CheckpointV1Reader>> CheckpointV1Reader::open(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(TableReader table, TableReader::open(path));
  TENON_ASSIGN_OR_RETURN(const std::string header, table.find(""));
  TENON_ASSIGN_OR_RETURN(const std::string_view meta, part_of(header, 1, "SavedTensorSlices"));
  std::unique_ptr<CheckpointV1Reader> reader(new CheckpointV1Reader(path, std::move(table)));
  WireReader tensors(meta);
  WireField field;
  while (tensors.next(field)) {
    if (!is_part(field, 1)) continue;
    auto named = parse_slice_meta(field.bytes);
    if (!named.ok()) return with_context(named.status(), cat("'", path, "'"));
    reader->entries_.insert(*std::move(named));
  }
  if (tensors.malformed()) {
    return with_context(malformed_v1("SavedTensorSliceMeta"), cat("'", path, "'"));
  }
  return reader;
}

StatusOr<Tensor> CheckpointV1Reader::read_slice(std::string_view key, const BundleEntry& entry,
                                                const TensorSlice& slice,
                                                const Shape& shape) const {
  TENON_ASSIGN_OR_RETURN(const std::string bytes, table_.find(slice_key(key, slice)));
  TENON_ASSIGN_OR_RETURN(const std::string_view saved, part_of(bytes, 2, "SavedTensorSlices"));
  TENON_ASSIGN_OR_RETURN(const std::string_view data, part_of(saved, 3, "SavedSlice"));
  StatusOr<Tensor> tensor = decode_tensor_values(data, entry.dtype, shape);
  if (!tensor.ok()) {
    return with_context(tensor.status(), cat("'", path_, "', tensor '", key, "'"));
  }
  return tensor;
}

StatusOr<Tensor> CheckpointV1Reader::read(std::string_view key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    return not_found("tensor '", key, "' is not in checkpoint '", path_, "'");
  }
  const BundleEntry& entry = found->second;
  std::vector<std::pair<TensorSlice, Tensor>> parts;
  int64_t covered = 0;
  for (const TensorSlice& slice : entry.slices) {
    TENON_ASSIGN_OR_RETURN(TensorSlice resolved, slice.resolve(entry.shape));
    const Shape shape = resolved.shape();
    TENON_ASSIGN_OR_RETURN(Tensor part, read_slice(key, entry, slice, shape));
    covered += part.num_elements();
    if (entry.slices.size() == 1 && shape == entry.shape) return part;
    parts.emplace_back(std::move(resolved), std::move(part));
  }
  if (covered != entry.shape.num_elements() || entry.dtype == DType::kString) {
    return data_loss("'", path_, "': the slices of tensor '", key, "' hold ", covered, " of its ",
                     entry.shape.num_elements(), " elements");
  }
  TENON_ASSIGN_OR_RETURN(Tensor full, Tensor::allocate(entry.dtype, entry.shape));
  for (const auto& [slice, part] : parts) copy_into_slice(part, slice, full);
  return full;
}

}  // namespace tenon
