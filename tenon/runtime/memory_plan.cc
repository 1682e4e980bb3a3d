#include "tenon/runtime/memory_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "tenon/core/buffer.h"

namespace tenon {
namespace {

// What is above half of the addresses stays there: no allocation grants it, and no sum of two
// wraps.
constexpr size_t kMost = SIZE_MAX / 2;

size_t aligned(size_t bytes) {
  return (std::min(bytes, kMost) + kAlignment - 1) / kAlignment * kAlignment;
}

// Placing the largest first wastes least, and compares every block with every other.
constexpr size_t kMostCompared = 4096;

size_t place_largest_first(std::span<ArenaBlock> blocks) {
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

// The memory that nobody uses at one time, as gaps that are joined when they meet.
class FreeMemory {
 public:
  // From the smallest gap that is large enough, or else at the end.
  size_t take(size_t size) {
    const auto fit = by_size_.lower_bound({size, 0});
    if (fit == by_size_.end()) {
      // The last gap grows.
      const auto last = gaps_.empty() ? gaps_.end() : std::prev(gaps_.end());
      size_t offset = total_;
      if (last != gaps_.end() && last->first + last->second == total_) {
        offset = last->first;
        remove(last);
      }
      total_ = std::min(kMost, offset + size);
      return offset;
    }
    const auto [gap, offset] = *fit;
    remove(gaps_.find(offset));
    if (gap > size) add(offset + size, gap - size);
    return offset;
  }

  void give_back(size_t offset, size_t size) {
    if (size == 0) return;
    const auto next = gaps_.lower_bound(offset);
    if (next != gaps_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        offset = before->first;
        size += before->second;
        remove(before);
      }
    }
    if (const auto after = gaps_.find(offset + size); after != gaps_.end()) {
      size += after->second;
      remove(after);
    }
    add(offset, size);
  }

  size_t total() const { return total_; }

 private:
  void add(size_t offset, size_t size) {
    gaps_[offset] = size;
    by_size_.insert({size, offset});
  }
  void remove(std::map<size_t, size_t>::iterator gap) {
    by_size_.erase({gap->second, gap->first});
    gaps_.erase(gap);
  }

  size_t total_ = 0;
  std::map<size_t, size_t> gaps_;  // offset -> size
  std::set<std::pair<size_t, size_t>> by_size_;
};

// In the order in which they come alive: n log n.
size_t place_in_time(std::span<ArenaBlock> blocks) {
  std::vector<size_t> by_first(blocks.size()), by_last(blocks.size());
  std::iota(by_first.begin(), by_first.end(), size_t{0});
  by_last = by_first;
  std::stable_sort(by_first.begin(), by_first.end(),
                   [&](size_t a, size_t b) { return blocks[a].first < blocks[b].first; });
  std::stable_sort(by_last.begin(), by_last.end(),
                   [&](size_t a, size_t b) { return blocks[a].last < blocks[b].last; });
  FreeMemory memory;
  size_t dead = 0;
  for (size_t index : by_first) {
    ArenaBlock& block = blocks[index];
    for (; dead < by_last.size() && blocks[by_last[dead]].last < block.first; ++dead) {
      const ArenaBlock& gone = blocks[by_last[dead]];
      memory.give_back(gone.offset, aligned(gone.bytes));
    }
    block.offset = memory.take(aligned(block.bytes));
  }
  return memory.total();
}

}  // namespace

size_t plan_memory(std::span<ArenaBlock> blocks) {
  return blocks.size() <= kMostCompared ? place_largest_first(blocks) : place_in_time(blocks);
}

}  // namespace tenon
