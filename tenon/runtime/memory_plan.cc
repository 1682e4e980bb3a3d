#include "tenon/runtime/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "tenon/core/buffer.h"

namespace tenon {
namespace {
// What does not fit in int64 stays there: no allocation grants it, and no sum of two wraps.
constexpr size_t kMost = std::numeric_limits<int64_t>::max();
size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
}  // namespace

size_t plan_memory(std::span<ArenaBlock> blocks) {
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<size_t> placed;  // by offset
  size_t total = 0;
  for (size_t index : by_size) {
    ArenaBlock& block = blocks[index];
    const size_t size = aligned(block.bytes);
    size_t best = SIZE_MAX;
    size_t best_gap = SIZE_MAX;
    size_t end = 0;  // of the blocks seen so far that live when this one does
    for (size_t other_index : placed) {
      const ArenaBlock& other = blocks[other_index];
      if (other.last < block.first || other.first > block.last) continue;
      if (other.offset > end && other.offset - end >= size && other.offset - end < best_gap) {
        best = end;
        best_gap = other.offset - end;
      }
      end = std::max(end, std::min(kMost, other.offset + aligned(other.bytes)));
    }
    block.offset = best == SIZE_MAX ? end : best;
    total = std::max(total, std::min(kMost, block.offset + size));
    const auto place = std::upper_bound(
        placed.begin(), placed.end(), block.offset,
        [&](size_t offset, size_t other) { return offset < blocks[other].offset; });
    placed.insert(place, index);
  }
  return total;
}

}  // namespace tenon
