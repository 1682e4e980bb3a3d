// Groups of GPUs that sum values among themselves, by NCCL: the collectives of TenonBackend.
//
// NCCL adds in the order of its ring, which is the same in every run on the same GPUs, so equal
// values give equal bits. Its other algorithms are switched off where the environment says nothing
// of them: NCCL_ALGO=Ring, and NCCL_NVLS_ENABLE=0, for sums in the switch are in no order of ours.
//
// Work that is captured goes on beside the rest of the step. Outside a capture the host waits for
// it: loading a kernel or freeing memory would wait for the GPU while the GPU waits for another
// one, whose thread may be waiting for that very call.
#pragma once

#include "plugins/base/node_reading.h"

namespace plugin::cuda {

// A group of one GPU does without NCCL, and has nothing to do.
TenonStatus* create_group(void* const* devices, int32_t count, void** members);
TenonStatus* all_reduce(void* member, void* stream, const TenonReduced* values, size_t count);
void abort_group(void* member);
void destroy_member(void* member);

}  // namespace plugin::cuda
