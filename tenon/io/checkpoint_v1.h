// Version 1 checkpoints of TensorFlow 1: one table file that holds SavedTensorSlices messages
// (tensorflow/core/util/saved_tensor_slice.proto). They are read, never written.
#pragma once

#include <map>

#include "tenon/io/bundle_entry.h"
#include "tenon/io/table.h"

namespace tenon {

// Thread-safe.
class CheckpointV1Reader {
 public:
  // `path` is the checkpoint's name itself, such as "model.ckpt-100".
  static StatusOr<std::unique_ptr<CheckpointV1Reader>> open(const std::string& path);

  // Names in bytewise order; dtype, shape and slices are set.
  const std::map<std::string, BundleEntry, std::less<>>& entries() const { return entries_; }

  // NOT_FOUND; DATA_LOSS when values are missing.
  StatusOr<Tensor> read(std::string_view key) const;

 private:
  CheckpointV1Reader(std::string path, TableReader table)
      : path_(std::move(path)), table_(std::move(table)) {}
  StatusOr<Tensor> read_slice(std::string_view key, const BundleEntry& entry,
                              const TensorSlice& slice, const Shape& shape) const;

  std::string path_;
  TableReader table_;
  std::map<std::string, BundleEntry, std::less<>> entries_;
};

}  // namespace tenon
