// Tensor bundles: the checkpoints of TensorFlow 2 and the variables of a SavedModel.
//
// A bundle `prefix` is the table `prefix.index` (names to entries) and the shards
// `prefix.data-00000-of-00001`, ... that hold the tensors' bytes.
#pragma once

#include <map>

#include "tenon/base/files.h"
#include "tenon/io/bundle_entry.h"

namespace tenon {

// Thread-safe. Tensors read are copies in memory of their own.
class BundleReader {
 public:
  // Reads the index whole. NOT_FOUND when there is none; DATA_LOSS when it is not intact.
  static StatusOr<std::unique_ptr<BundleReader>> open(const std::string& prefix);

  using Entries = std::map<std::string, BundleEntry, std::less<>>;
  // Names in bytewise order with dtype and shape; slices of partitioned tensors are left out.
  const Entries& entries() const { return entries_; }
  bool contains(std::string_view key) const { return entries_.find(key) != entries_.end(); }

  // The tensor under `key`, checksum verified. NOT_FOUND; DATA_LOSS naming shard and offset.
  StatusOr<Tensor> read(std::string_view key) const;
  // The part `slice` of it.
  StatusOr<Tensor> read(std::string_view key, const TensorSlice& slice) const;

 private:
  explicit BundleReader(std::string prefix) : prefix_(std::move(prefix)) {}
  Status read_index();
  Status open_shards(int32_t count);
  StatusOr<const RandomAccessFile*> locate(std::string_view key, const BundleEntry& entry) const;
  StatusOr<Tensor> read_whole(std::string_view key, const BundleEntry& entry) const;
  StatusOr<Tensor> read_partitioned(std::string_view key, const BundleEntry& entry) const;

  std::string prefix_;
  Entries entries_;
  Entries slices_;
  std::vector<std::unique_ptr<RandomAccessFile>> shards_;
};

// Writes a bundle of one shard. Both files appear when finish() succeeds; before that, and when the
// disk is full, a bundle that stood under `prefix` stays as it was.
class BundleWriter {
 public:
  static StatusOr<std::unique_ptr<BundleWriter>> create(const std::string& prefix);

  // Names in any order, each once. Resource and variant tensors are UNIMPLEMENTED.
  Status add(std::string_view key, const Tensor& tensor);
  Status finish();

 private:
  BundleWriter(std::string prefix, std::unique_ptr<AtomicFile> data)
      : prefix_(std::move(prefix)), data_(std::move(data)) {}
  std::string prefix_;
  std::unique_ptr<AtomicFile> data_;
  uint64_t offset_ = 0;
  std::map<std::string, std::string, std::less<>> index_;
};

// "prefix.data-00003-of-00008"
std::string bundle_shard_path(std::string_view prefix, int32_t shard, int32_t count);

}  // namespace tenon
