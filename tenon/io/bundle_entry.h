// The messages of a checkpoint's index: BundleHeaderProto and BundleEntryProto
// (tensorflow/core/protobuf/tensor_bundle.proto), in and out of their wire format.
#pragma once

#include "tenon/io/tensor_slice.h"

namespace tenon {

struct BundleHeader {
  int32_t num_shards = 1;
  bool big_endian = false;
  int32_t min_consumer = 0;  // the reader version that is needed at least
};

struct BundleEntry {
  DType dtype = DType::kInvalid;
  Shape shape;
  int32_t shard = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t masked_crc = 0;
  std::vector<TensorSlice> slices;  // of a partitioned variable; the bytes are under their keys
};

// INVALID_ARGUMENT when the bytes are malformed or a value is impossible.
StatusOr<BundleHeader> parse_bundle_header(std::string_view bytes);
StatusOr<BundleEntry> parse_bundle_entry(std::string_view bytes);

std::string serialize(const BundleHeader& header);
std::string serialize(const BundleEntry& entry);

// TensorShapeProto and TensorSliceProto. Fields of proto3 that hold their default are absent.
StatusOr<Shape> parse_shape_message(std::string_view bytes);
StatusOr<TensorSlice> parse_slice_message(std::string_view bytes);

}  // namespace tenon
