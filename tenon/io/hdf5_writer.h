// Writes HDF5 files that h5py, libhdf5 and Keras read: superblock version 0, groups by symbol
// tables, contiguous datasets, attributes; strings are of variable length and UTF-8, as h5py's.
#pragma once

#include <memory>
#include <string>

#include "tenon/core/tensor.h"

namespace tenon {

// Builds a file in memory. Equal calls give equal bytes. Not thread-safe. Paths as in Hdf5Reader;
// groups on the way to a path are made.
class Hdf5Writer {
 public:
  Hdf5Writer();
  ~Hdf5Writer();

  Status group(std::string_view path);
  // Holds on to `tensor` until finish(). bfloat16 is written as Keras does: see hdf5_reader.h.
  Status dataset(std::string_view path, const Tensor& tensor);
  // Of a group or dataset that exists; at most 64 KiB of numbers. Strings may be longer.
  Status attribute(std::string_view path, std::string_view name, const Tensor& value);
  Status attribute(std::string_view path, std::string_view name, std::string_view text);

  // The whole file; the writer is then of no more use.
  std::string finish() &&;

 private:
  struct Node;
  class StringHeap;
  StatusOr<Node*> make(std::string_view path);
  Node* find(std::string_view path);
  uint64_t emit(Node& node, std::string& out) const;
  uint64_t emit_group(Node& node, std::string& out) const;

  std::unique_ptr<Node> root_;
  std::unique_ptr<StringHeap> heap_;
};

}  // namespace tenon
