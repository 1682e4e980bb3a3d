// The state of a tf.random.Generator: a variable of int64 that holds Philox's counter and key.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/kernels/philox.h"

namespace tenon {

// Blocks by which any op advances the generator for each of its results.
inline constexpr uint64_t kBlocksOfResult = 256;

// INVALID_ARGUMENT, or UNIMPLEMENTED for ThreeFry, unless `algorithm` is Philox or automatic.
Status check_random_algorithm(int64_t algorithm);

// The generator that input 0 refers to as it stands; it advances by `blocks`. `tagged`: the state
// begins with the algorithm's number. `before`, if not null, gets the three numbers of the state.
StatusOr<kernels::Philox> take_blocks(KernelRun& r, bool tagged, uint64_t blocks,
                                      int64_t* before = nullptr);

}  // namespace tenon
