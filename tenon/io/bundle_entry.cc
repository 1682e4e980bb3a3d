#include "tenon/io/bundle_entry.h"

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"

namespace tenon {
namespace {

Status malformed_entry(std::string_view message) {
  return invalid_argument("malformed ", message, " message");
}

// A varint field that holds an int32 of at least 0.
StatusOr<int32_t> small_number(const WireField& field, std::string_view what) {
  if (field.value > INT32_MAX) return invalid_argument(what, " has an impossible value");
  return static_cast<int32_t>(field.value);
}

// The int32 under `wanted` of a VersionDef.
StatusOr<int32_t> parse_version(std::string_view bytes, uint32_t wanted) {
  WireReader reader(bytes);
  WireField field;
  int32_t version = 0;
  while (reader.next(field)) {
    if (field.is_varint(wanted)) {
      TENON_ASSIGN_OR_RETURN(version, small_number(field, "VersionDef"));
    }
  }
  if (reader.malformed()) return malformed_entry("VersionDef");
  return version;
}

Status parse_extent(std::string_view bytes, TensorSlice& slice) {
  WireReader reader(bytes);
  WireField field;
  int64_t start = 0, length = -1;
  while (reader.next(field)) {
    if (field.is_varint(1)) start = static_cast<int64_t>(field.value);
    if (field.is_varint(2)) length = static_cast<int64_t>(field.value);
  }
  if (reader.malformed() || start < 0 || length < -1) {
    return malformed_entry("TensorSliceProto.Extent");
  }
  slice.begin.push_back(start);
  slice.size.push_back(length);
  return absl::OkStatus();
}

Status parse_entry_field(const WireField& field, BundleEntry& entry) {
  if (field.is_varint(1)) {
    const auto dtype =
        field.value <= INT32_MAX ? dtype_from_enum(static_cast<int>(field.value)) : std::nullopt;
    if (!dtype) return unimplemented("tensors of type number ", field.value, " are not known");
    entry.dtype = *dtype;
  } else if (field.is_bytes(2)) {
    TENON_ASSIGN_OR_RETURN(entry.shape, parse_shape_message(field.bytes));
  } else if (field.is_varint(3)) {
    TENON_ASSIGN_OR_RETURN(entry.shard, small_number(field, "shard_id"));
  } else if (field.is_varint(4)) {
    entry.offset = field.value;
  } else if (field.is_varint(5)) {
    entry.size = field.value;
  } else if (field.is_fixed32(6)) {
    entry.masked_crc = static_cast<uint32_t>(field.value);
  } else if (field.is_bytes(7)) {
    TENON_ASSIGN_OR_RETURN(TensorSlice slice, parse_slice_message(field.bytes));
    entry.slices.push_back(std::move(slice));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Shape> parse_shape_message(std::string_view bytes) {
  TENON_ASSIGN_OR_RETURN(const PartialShape shape, parse_shape(bytes));
  if (!shape.is_fully_known()) {
    return invalid_argument("a tensor has the shape ", shape, ", it must be fully known");
  }
  constexpr size_t kLargestElement = 16;
  return Shape::make(shape.dims(), kLargestElement);
}

StatusOr<TensorSlice> parse_slice_message(std::string_view bytes) {
  WireReader reader(bytes);
  WireField field;
  TensorSlice slice;
  while (reader.next(field)) {
    if (field.is_bytes(1)) TENON_RETURN_IF_ERROR(parse_extent(field.bytes, slice));
  }
  if (reader.malformed()) return malformed_entry("TensorSliceProto");
  return slice;
}

StatusOr<BundleHeader> parse_bundle_header(std::string_view bytes) {
  WireReader reader(bytes);
  WireField field;
  BundleHeader header;
  header.num_shards = 0;
  while (reader.next(field)) {
    if (field.is_varint(1)) {
      TENON_ASSIGN_OR_RETURN(header.num_shards, small_number(field, "num_shards"));
    } else if (field.is_varint(2)) {
      header.big_endian = field.value != 0;
    } else if (field.is_bytes(3)) {
      TENON_ASSIGN_OR_RETURN(header.min_consumer, parse_version(field.bytes, 2));
    }
  }
  if (reader.malformed()) return malformed_entry("BundleHeaderProto");
  return header;
}

StatusOr<BundleEntry> parse_bundle_entry(std::string_view bytes) {
  WireReader reader(bytes);
  WireField field;
  BundleEntry entry;
  while (reader.next(field)) TENON_RETURN_IF_ERROR(parse_entry_field(field, entry));
  if (reader.malformed()) return malformed_entry("BundleEntryProto");
  return entry;
}

std::string serialize(const BundleHeader& header) {
  std::string version, out;
  append_varint_field(version, 1, 1);  // producer
  append_varint_field(out, 1, static_cast<uint64_t>(header.num_shards));
  append_bytes_field(out, 3, version);
  return out;
}

std::string serialize(const BundleEntry& entry) {
  std::string out;
  append_varint_field(out, 1, static_cast<uint64_t>(entry.dtype));
  append_message(out, 2, [&] { append_shape(out, PartialShape(entry.shape)); });
  append_varint_field(out, 3, static_cast<uint64_t>(entry.shard));
  append_varint_field(out, 4, entry.offset);
  append_varint_field(out, 5, entry.size);
  append_fixed32_field(out, 6, entry.masked_crc);
  return out;
}

}  // namespace tenon
