// Which parts of a device's memory are in use: blocks of segments that were allocated once and are
// cut and joined again. Knows addresses alone, nothing of CUDA. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace plugin::cuda {

class MemoryPool {
 public:
  static constexpr size_t kAlignment = 256;
  static size_t rounded(size_t bytes) {
    return bytes == 0 ? kAlignment : (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  // `base` is aligned, `bytes` rounded.
  void add_segment(void* base, size_t bytes);
  // The smallest free block that holds `bytes`; null when there is none.
  void* take(size_t bytes);
  void give_back(void* memory);
  // Segments that nobody uses, which are no longer the pool's.
  std::vector<std::pair<void*, size_t>> remove_idle_segments();

  size_t reserved_bytes() const { return reserved_; }
  size_t used_bytes() const { return used_; }
  size_t largest_free() const { return free_.empty() ? 0 : free_.rbegin()->first; }

 private:
  struct Block {
    size_t bytes;
    bool used;
    bool begins_segment;
  };
  using Blocks = std::map<uintptr_t, Block>;
  void join_next(Blocks::iterator block);

  Blocks blocks_;                                // by address
  std::set<std::pair<size_t, uintptr_t>> free_;  // by size
  size_t reserved_ = 0;
  size_t used_ = 0;
};

}  // namespace plugin::cuda
