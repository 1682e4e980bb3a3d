// BumpArena: the memory of a run's dynamic region.
//
// allocate() moves a pointer through large chunks; reset() starts over. A tensor that somebody
// still holds then keeps its chunk, so nothing dangles. The arena takes up a few such chunks again
// once nobody holds them: the variables of a loop keep what its last turn made until the next one
// is over, and a turn should not have to ask the system for memory.
#pragma once

#include "tenon/core/device.h"

namespace tenon {

// Not thread-safe: one run at a time.
class BumpArena {
 public:
  explicit BumpArena(Device* device) : device_(device) {}

  // Uninitialised memory on the arena's device; strings and objects are always on the host.
  StatusOr<Tensor> allocate(DType dtype, const Shape& shape);
  // What several chunks were needed for becomes one, so that sizes that rise do not collect.
  void reset();
  size_t bytes() const;

 private:
  static constexpr size_t kChunk = size_t{1} << 20;
  static constexpr size_t kMostHeld = 4;

  StatusOr<Ref<Buffer>> chunk_of(size_t bytes);

  Device* device_;
  std::vector<Ref<Buffer>> chunks_;
  std::vector<Ref<Buffer>> held_;  // by tensors, when the arena was reset; the oldest first
  size_t current_ = 0;             // index of the chunk that is being filled
  size_t used_ = 0;                // bytes of it
  size_t given_ = 0;               // since reset()
  size_t least_chunk_ = kChunk;
};

}  // namespace tenon
