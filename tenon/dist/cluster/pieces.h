// Pieces: how the values of a reduction are divided among workers, and how a piece stands in a
// message.
#pragma once

#include "tenon/core/tensor.h"
#include "tenon/dist/cluster/worker_mesh.h"

namespace tenon::dist {

// Of tensors of these dtypes and shapes. Immutable.
class Pieces {
 public:
  // Worker r of `workers` has elements n * r / workers to n * (r + 1) / workers of each tensor of n
  // elements; where `whole`, every one has all.
  Pieces(std::span<const Tensor> like, int workers, bool whole);

  bool whole() const { return whole_; }

  struct Range {
    size_t offset = 0;                 // in a message, of bytes; a multiple of 8
    int64_t begin = 0, count = 0;      // elements
    size_t first_byte = 0, bytes = 0;  // in the tensor
  };
  // Of each tensor.
  std::vector<Range> ranges(int worker) const;
  size_t bytes(int worker) const;

  Body pack(std::span<const Tensor> values, int worker) const;
  // `body` has bytes(worker).
  void unpack(const Body& body, int worker, std::span<Tensor> values) const;

  // Equal for tensors of equal dtypes and shapes.
  uint64_t signature() const { return signature_; }

 private:
  struct Value {
    int64_t elements;
    size_t element_bytes;
  };
  std::vector<Value> values_;
  const int workers_;
  const bool whole_;
  uint64_t signature_ = 0;
};

}  // namespace tenon::dist
