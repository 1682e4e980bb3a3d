// Philox 4x32-10 for many counters at once. Private to this folder.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// words[4 * i ..] = the block at counter (low + i, high), for as many of the `count` blocks as fill
// whole vectors; returns how many. low + count must not overflow.
int64_t philox_blocks(uint64_t key, uint64_t low, uint64_t high, int64_t count, uint32_t* words);

}  // namespace tenon::kernels
