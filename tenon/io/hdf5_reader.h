// HDF5 files, the subset that Keras and h5py write: groups, contiguous, compact and chunked (gzip,
// shuffle) datasets, and attributes, of numbers, bools, fixed and variable-length strings.
//
// Safe with hostile files: everything is bounded by the size of the file. Soft and external links,
// external and virtual datasets are refused. bfloat16 is stored as Keras does: opaque elements of 2
// bytes with the attribute dtype = "bfloat16".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tenon/core/tensor.h"

namespace tenon {

// Thread-safe. Paths are like "layers/dense/vars/0"; "" is the root group. Errors name the file and
// the path: INVALID_ARGUMENT or DATA_LOSS for broken files, UNIMPLEMENTED outside the subset.
class Hdf5Reader {
 public:
  static StatusOr<std::unique_ptr<Hdf5Reader>> open(const std::string& path);
  // `name` stands for the file in messages.
  static StatusOr<std::unique_ptr<Hdf5Reader>> from_bytes(std::string bytes, std::string name);

  enum class Kind { kGroup, kDataset };
  // NOT_FOUND when nothing is there.
  StatusOr<Kind> kind(std::string_view path) const;
  bool contains(std::string_view path) const { return kind(path).ok(); }

  // Names of a group's members, in bytewise order.
  StatusOr<std::vector<std::string>> list(std::string_view group) const;
  // Paths of all datasets below `group`, groups in bytewise order.
  StatusOr<std::vector<std::string>> datasets(std::string_view group = "") const;

  // A dataset that declares more bytes than the file could inflate to is RESOURCE_EXHAUSTED.
  StatusOr<Tensor> read(std::string_view dataset) const;

  StatusOr<std::vector<std::string>> attributes(std::string_view path) const;
  // NOT_FOUND when there is no such attribute.
  StatusOr<Tensor> attribute(std::string_view path, std::string_view name) const;

 private:
  Hdf5Reader(std::string bytes, std::string name)
      : bytes_(std::move(bytes)), name_(std::move(name)) {}
  StatusOr<uint64_t> find(std::string_view path) const;
  struct Walk {
    uint64_t groups_left;  // more than the file has room for means a circle
  };
  Status collect(uint64_t address, const std::string& path, Walk& walk, int depth,
                 std::vector<std::string>& out) const;
  Status in_file(const Status& status, std::string_view path) const;

  std::string bytes_;
  std::string name_;
  uint64_t root_ = 0;
};

}  // namespace tenon
