// The host's memory: never more of it than the machine has.
//
// Linux promises memory that is not there and kills the process once it is touched. So blocks of
// 1 MiB and more are counted, tensors' and those of operator new (core/operator_new.cc), and what
// would exceed the limit is refused. Thread-safe.
#pragma once

#include <cstddef>

namespace tenon {

// Blocks below this many bytes are not counted.
inline constexpr size_t kCountedHostMemory = size_t{1} << 20;

// Bytes: physical memory and swap, or the process's cgroup's limit where that is less.
size_t host_memory_limit();

// Lowers the limit (a program with less to spend, a test). Call it before threads start.
void set_host_memory_limit(size_t bytes);

// Counts a block of at least kCountedHostMemory; false, and nothing is counted, beyond the limit.
[[nodiscard]] bool take_host_memory(size_t bytes);
void give_back_host_memory(size_t bytes);

// Notes that a block was refused: take_host_memory() does, and who asks for the limit alone.
void note_refused_host_memory(size_t bytes);

// The largest block that was refused since this was asked last; 0: none was.
size_t take_refused_host_memory();

// `bytes` of uninitialised memory, aligned to kAlignment; null when they are not to be had.
void* allocate_host_memory(size_t bytes);

// Gives back what allocate_host_memory(bytes) returned.
void free_host_memory(void* data, size_t bytes);

}  // namespace tenon
