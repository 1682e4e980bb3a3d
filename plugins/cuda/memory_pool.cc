#include "plugins/cuda/memory_pool.h"

#include <iterator>

namespace plugin::cuda {

void MemoryPool::add_segment(void* base, size_t bytes) {
  const auto address = reinterpret_cast<uintptr_t>(base);
  blocks_[address] = {bytes, false, true};
  free_.insert({bytes, address});
  reserved_ += bytes;
}

void* MemoryPool::take(size_t bytes) {
  const size_t wanted = rounded(bytes);
  const auto found = free_.lower_bound({wanted, 0});
  if (found == free_.end()) return nullptr;
  const auto [size, address] = *found;
  free_.erase(found);
  Block& block = blocks_[address];
  block.used = true;
  block.bytes = wanted;
  if (size > wanted) {
    blocks_[address + wanted] = {size - wanted, false, false};
    free_.insert({size - wanted, address + wanted});
  }
  used_ += wanted;
  return reinterpret_cast<void*>(address);
}

// With the block behind it, if that is free and of the same segment.
void MemoryPool::join_next(Blocks::iterator block) {
  const auto next = std::next(block);
  if (next == blocks_.end() || next->second.used || next->second.begins_segment) return;
  free_.erase({next->second.bytes, next->first});
  block->second.bytes += next->second.bytes;
  blocks_.erase(next);
}

void MemoryPool::give_back(void* memory) {
  auto block = blocks_.find(reinterpret_cast<uintptr_t>(memory));
  if (block == blocks_.end() || !block->second.used) return;
  used_ -= block->second.bytes;
  block->second.used = false;
  join_next(block);
  if (!block->second.begins_segment && !std::prev(block)->second.used) {
    block = std::prev(block);
    free_.erase({block->second.bytes, block->first});
    const auto next = std::next(block);
    block->second.bytes += next->second.bytes;
    blocks_.erase(next);
  }
  free_.insert({block->second.bytes, block->first});
}

std::vector<std::pair<void*, size_t>> MemoryPool::remove_idle_segments() {
  std::vector<std::pair<void*, size_t>> removed;
  for (auto block = blocks_.begin(); block != blocks_.end();) {
    const auto next = std::next(block);
    const bool whole = next == blocks_.end() || next->second.begins_segment;
    if (block->second.begins_segment && !block->second.used && whole) {
      free_.erase({block->second.bytes, block->first});
      reserved_ -= block->second.bytes;
      removed.emplace_back(reinterpret_cast<void*>(block->first), block->second.bytes);
      blocks_.erase(block);
    }
    block = next;
  }
  return removed;
}

}  // namespace plugin::cuda
