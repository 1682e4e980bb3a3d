#include "tenon/io/checkpoint_v1.h"

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"

namespace tenon {
namespace {

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
    if (field.is_bytes(number)) part = field.bytes;
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
    if (field.is_bytes(1)) named.first = field.bytes;
    if (field.is_bytes(2)) {
      TENON_ASSIGN_OR_RETURN(entry.shape, parse_shape_message(field.bytes));
    }
    if (field.is_varint(3)) {
      const int type = static_cast<int>(std::min<uint64_t>(field.value, INT32_MAX));
      const auto dtype = dtype_from_enum(type);
      if (!dtype) return unimplemented("tensors of type number ", type, " are not known");
      entry.dtype = *dtype;
    }
    if (field.is_bytes(4)) {
      TENON_ASSIGN_OR_RETURN(TensorSlice slice, parse_slice_message(field.bytes));
      entry.slices.push_back(std::move(slice));
    }
  }
  if (reader.malformed()) return malformed_v1("SavedSliceMeta");
  return named;
}

}  // namespace

StatusOr<std::unique_ptr<CheckpointV1Reader>> CheckpointV1Reader::open(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(TableReader table, TableReader::open(path));
  TENON_ASSIGN_OR_RETURN(const std::string header, table.find(""));
  TENON_ASSIGN_OR_RETURN(const std::string_view meta, part_of(header, 1, "SavedTensorSlices"));
  std::unique_ptr<CheckpointV1Reader> reader(new CheckpointV1Reader(path, std::move(table)));
  WireReader tensors(meta);
  WireField field;
  while (tensors.next(field)) {
    if (!field.is_bytes(1)) continue;
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
  StatusOr<Tensor> tensor = parse_tensor_values(data, entry.dtype, shape);
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
