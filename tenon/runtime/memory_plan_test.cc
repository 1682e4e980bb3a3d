// Outside truth: blocks that live at one time must not share a byte, and an arena that holds n
// blocks at one time cannot be smaller than they are together.
#include "tenon/runtime/memory_plan.h"

#include <gtest/gtest.h>

#include <random>

namespace tenon {
namespace {

void expect_apart(const std::vector<ArenaBlock>& blocks, size_t total) {
  // Sweep over the steps with the blocks that live, by offset.
  std::vector<std::vector<const ArenaBlock*>> born, gone;
  int last = 0;
  for (const ArenaBlock& block : blocks) last = std::max(last, block.last);
  born.resize(static_cast<size_t>(last) + 2);
  gone.resize(static_cast<size_t>(last) + 2);
  for (const ArenaBlock& block : blocks) {
    EXPECT_EQ(block.offset % 64, 0u);
    EXPECT_LE(block.offset + block.bytes, total);
    born[static_cast<size_t>(block.first)].push_back(&block);
    gone[static_cast<size_t>(block.last) + 1].push_back(&block);
  }
  std::map<size_t, size_t> living;  // offset -> end
  for (size_t step = 0; step < born.size(); ++step) {
    for (const ArenaBlock* block : gone[step]) living.erase(block->offset);
    for (const ArenaBlock* block : born[step]) {
      const auto [it, fresh] = living.emplace(block->offset, block->offset + block->bytes);
      ASSERT_TRUE(fresh);
      if (it != living.begin()) {
        ASSERT_LE(std::prev(it)->second, block->offset);
      }
      if (std::next(it) != living.end()) {
        ASSERT_LE(it->second, std::next(it)->first);
      }
    }
  }
}

std::vector<ArenaBlock> random_blocks(int count, int most_steps) {
  std::mt19937 random(7);
  std::vector<ArenaBlock> blocks;
  for (int i = 0; i < count; ++i) {
    const int first = static_cast<int>(random() % 5000);
    const int length = static_cast<int>(random() % static_cast<unsigned>(most_steps));
    blocks.push_back({1 + random() % 10000, first, first + length, 0});
  }
  return blocks;
}

TEST(MemoryPlan, BlocksThatLiveAtOneTimeAreApart) {
  for (int count : {1, 10, 1000, 4096, 4097, 10000}) {
    std::vector<ArenaBlock> blocks = random_blocks(count, 50);
    expect_apart(blocks, plan_memory(blocks));
  }
}

TEST(MemoryPlan, ManyBlocksOfAChainShareAFew) {
  std::vector<ArenaBlock> blocks;
  for (int i = 0; i < 100000; ++i) blocks.push_back({1000, i, i + 1, 0});
  const size_t total = plan_memory(blocks);
  expect_apart(blocks, total);
  EXPECT_LE(total, 3 * 1024u);
}

}  // namespace
}  // namespace tenon
