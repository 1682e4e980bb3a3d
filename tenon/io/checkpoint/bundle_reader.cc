#include <cstdio>

#include "tenon/io/checkpoint/bundle_strings.h"
#include "tenon/io/crc32c.h"
#include "tenon/io/table.h"
#include "tenon/io/tensor_bundle.h"

namespace tenon {
namespace {

// The newest bundle version whose reading needs no more than what this reader knows.
constexpr int32_t kBundleVersion = 1;

}  // namespace

std::string bundle_shard_path(std::string_view prefix, int32_t shard, int32_t count) {
  char suffix[40];
  std::snprintf(suffix, sizeof(suffix), ".data-%05d-of-%05d", shard, count);
  return cat(prefix, suffix);
}

StatusOr<std::unique_ptr<BundleReader>> BundleReader::open(const std::string& prefix) {
  std::unique_ptr<BundleReader> reader(new BundleReader(prefix));
  TENON_RETURN_IF_ERROR(reader->read_index());
  return reader;
}

Status BundleReader::read_index() {
  TENON_ASSIGN_OR_RETURN(const TableReader table, TableReader::open(prefix_ + ".index"));
  const std::string where = cat("'", prefix_, ".index'");
  bool has_header = false;
  BundleHeader header;
  TENON_RETURN_IF_ERROR(table.scan([&](std::string_view key, std::string_view value) -> Status {
    if (key.empty()) {
      StatusOr<BundleHeader> parsed = parse_bundle_header(value);
      if (!parsed.ok()) return with_context(parsed.status(), where);
      header = *parsed;
      has_header = true;
      return absl::OkStatus();
    }
    StatusOr<BundleEntry> entry = parse_bundle_entry(value);
    if (!entry.ok()) return with_context(entry.status(), cat(where, ", key '", key, "'"));
    // Keys of slices begin with a zero byte, which no name does.
    (key.front() == '\0' ? slices_ : entries_).emplace(key, *std::move(entry));
    return absl::OkStatus();
  }));
  if (!has_header) return data_loss(where, " has no header");
  if (header.big_endian) return unimplemented(where, " was written on a big-endian machine");
  if (header.min_consumer > kBundleVersion) {
    return unimplemented(where, " needs a reader of version ", header.min_consumer,
                         ", this one is of version ", kBundleVersion);
  }
  return open_shards(header.num_shards);
}

Status BundleReader::open_shards(int32_t count) {
  for (int32_t shard = 0; shard < count; ++shard) {
    TENON_ASSIGN_OR_RETURN(auto file,
                           RandomAccessFile::open(bundle_shard_path(prefix_, shard, count)));
    shards_.push_back(std::move(file));
  }
  return absl::OkStatus();
}

StatusOr<const RandomAccessFile*> BundleReader::locate(std::string_view key,
                                                       const BundleEntry& entry) const {
  if (static_cast<size_t>(entry.shard) >= shards_.size()) {
    return data_loss("'", prefix_, "': tensor '", key, "' lies in shard ", entry.shard, " of ",
                     shards_.size());
  }
  const RandomAccessFile* file = shards_[static_cast<size_t>(entry.shard)].get();
  if (entry.offset > file->size() || entry.size > file->size() - entry.offset) {
    return data_loss("'", file->path(), "' is cut off: it has ", file->size(), " bytes, tensor '",
                     key, "' needs ", entry.size, " at offset ", entry.offset);
  }
  return file;
}

StatusOr<Tensor> BundleReader::read_whole(std::string_view key, const BundleEntry& entry) const {
  TENON_ASSIGN_OR_RETURN(const RandomAccessFile* file, locate(key, entry));
  const std::string where =
      cat("'", file->path(), "', tensor '", key, "' at offset ", entry.offset);
  if (is_object(entry.dtype) && entry.dtype != DType::kString) {
    return unimplemented(where, ": tensors of type ", entry.dtype, " cannot be read");
  }
  if (entry.dtype == DType::kString) {
    Ref<Buffer> block = Buffer::host(entry.size);
    if (!block) return resource_exhausted(where, ": out of memory for ", entry.size, " bytes");
    TENON_RETURN_IF_ERROR(
        file->read(entry.offset, {static_cast<char*>(block->data()), entry.size}));
    StatusOr<Tensor> tensor =
        decode_bundle_strings(std::move(block), entry.shape, entry.masked_crc);
    if (!tensor.ok()) return with_context(tensor.status(), where);
    return tensor;
  }
  const uint64_t expected =
      static_cast<uint64_t>(entry.shape.num_elements()) * size_of(entry.dtype);
  if (entry.size != expected) {
    return data_loss(where, ": ", entry.size, " bytes are stored, ", entry.dtype, " of shape ",
                     entry.shape, " takes ", expected);
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(entry.dtype, entry.shape));
  const std::span<char> bytes(static_cast<char*>(tensor.mutable_raw()), entry.size);
  TENON_RETURN_IF_ERROR(file->read(entry.offset, bytes));
  if (mask_crc(crc32c({bytes.data(), bytes.size()})) != entry.masked_crc) {
    return data_loss(where, ": the bytes do not match their checksum");
  }
  return tensor;
}

StatusOr<Tensor> BundleReader::read_partitioned(std::string_view key,
                                                const BundleEntry& entry) const {
  std::vector<std::pair<TensorSlice, Tensor>> parts;
  int64_t covered = 0;
  for (const TensorSlice& slice : entry.slices) {
    const auto found = slices_.find(slice_key(key, slice));
    if (found == slices_.end()) {
      return data_loss("'", prefix_, "': slice ", slice, " of tensor '", key, "' is missing");
    }
    TENON_ASSIGN_OR_RETURN(TensorSlice resolved, slice.resolve(entry.shape));
    TENON_ASSIGN_OR_RETURN(Tensor part, read_whole(key, found->second));
    if (part.dtype() != entry.dtype || !(part.shape() == resolved.shape())) {
      return data_loss("'", prefix_, "': slice ", slice, " of tensor '", key, "' holds ",
                       part.dtype(), part.shape(), ", expected ", entry.dtype, resolved.shape());
    }
    covered += part.num_elements();
    parts.emplace_back(std::move(resolved), std::move(part));
  }
  if (covered != entry.shape.num_elements()) {
    return data_loss("'", prefix_, "': the slices of tensor '", key, "' hold ", covered, " of its ",
                     entry.shape.num_elements(), " elements");
  }
  if (entry.dtype == DType::kString) {
    return unimplemented("'", prefix_, "': partitioned string tensor '", key, "'");
  }
  TENON_ASSIGN_OR_RETURN(Tensor full, Tensor::allocate(entry.dtype, entry.shape));
  for (const auto& [slice, part] : parts) copy_into_slice(part, slice, full);
  return full;
}

StatusOr<Tensor> BundleReader::read(std::string_view key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    return not_found("tensor '", key, "' is not in checkpoint '", prefix_, "'");
  }
  const BundleEntry& entry = found->second;
  return entry.slices.empty() ? read_whole(key, entry) : read_partitioned(key, entry);
}

StatusOr<Tensor> BundleReader::read(std::string_view key, const TensorSlice& slice) const {
  TENON_ASSIGN_OR_RETURN(const Tensor full, read(key));
  StatusOr<TensorSlice> resolved = slice.resolve(full.shape());
  if (!resolved.ok()) return with_context(resolved.status(), cat("tensor '", key, "'"));
  if (full.dtype() == DType::kString) {
    StringTensorBuilder builder(resolved->shape());
    builder.share(full);
    Tensor part = std::move(builder).build();
    copy_from_slice(full, *resolved, part);
    return part;
  }
  TENON_ASSIGN_OR_RETURN(Tensor part, Tensor::allocate(full.dtype(), resolved->shape()));
  copy_from_slice(full, *resolved, part);
  return part;
}

}  // namespace tenon
