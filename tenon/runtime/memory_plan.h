// Static memory: offsets in an arena for blocks whose lifetimes are known.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tenon {

struct ArenaBlock {
  size_t bytes = 0;
  int first = 0;      // step that writes it first
  int last = 0;       // step that reads it last, inclusive
  size_t offset = 0;  // the result, a multiple of 64
};

// Places blocks so that two that live at one time do not overlap, largest first, each in the
// tightest gap that holds it (the rule of TFLite's simple_memory_arena.cc); where there are very
// many, in the order in which they come alive. Returns the arena's size in bytes.
size_t plan_memory(std::span<ArenaBlock> blocks);

}  // namespace tenon
