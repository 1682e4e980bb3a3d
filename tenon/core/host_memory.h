// The host's memory for tensors: aligned blocks, never more of them than the machine has.
//
// Linux promises memory that is not there and kills the process once it is touched. So blocks of
// 1 MiB and more are counted, and what would exceed the limit is refused. Thread-safe.
#pragma once

#include <cstddef>

namespace tenon {

// Bytes: physical memory and swap, or the process's cgroup's limit where that is less.
size_t host_memory_limit();

// `bytes` of uninitialised memory, aligned to kAlignment; null when they are not to be had.
void* allocate_host_memory(size_t bytes);

// Gives back what allocate_host_memory(bytes) returned.
void free_host_memory(void* data, size_t bytes);

}  // namespace tenon
