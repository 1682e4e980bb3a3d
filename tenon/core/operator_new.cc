// The program's operator new: what containers ask for is counted as tensors are, and refused by
// std::bad_alloc beyond the machine's memory, which or_out_of_memory turns into RESOURCE_EXHAUSTED.
// Linked into programs alone (tenon_operator_new), never into a library that others load.
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "tenon/core/host_memory.h"

namespace {

// malloc may give more than was asked for: both sides count what it gave.
void* counted(void* data) {
  if (!data) throw std::bad_alloc();
  const size_t bytes = malloc_usable_size(data);
  if (bytes < tenon::kCountedHostMemory || tenon::take_host_memory(bytes)) return data;
  std::free(data);
  throw std::bad_alloc();
}

void give_back(void* data) {
  const size_t bytes = data ? malloc_usable_size(data) : 0;
  if (bytes >= tenon::kCountedHostMemory) tenon::give_back_host_memory(bytes);
  std::free(data);
}

// Finding the limit reads files and so allocates: small blocks must not ask for it.
void refuse_beyond_limit(size_t bytes) {
  if (bytes < tenon::kCountedHostMemory) return;
  if (bytes <= tenon::host_memory_limit()) return;
  tenon::note_refused_host_memory(bytes);
  throw std::bad_alloc();
}

}  // namespace

#define TENON_EXPORTED __attribute__((visibility("default")))

TENON_EXPORTED void* operator new(size_t bytes) {
  refuse_beyond_limit(bytes);
  return counted(std::malloc(bytes));
}

TENON_EXPORTED void* operator new(size_t bytes, std::align_val_t alignment) {
  refuse_beyond_limit(bytes);
  const auto to = static_cast<size_t>(alignment);
  return counted(std::aligned_alloc(to, (bytes + to - 1) / to * to));
}

// A sanitizer's own would not know what the operators delete below take.
TENON_EXPORTED void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

TENON_EXPORTED void operator delete(void* data) noexcept { give_back(data); }
TENON_EXPORTED void operator delete(void* data, size_t) noexcept { give_back(data); }
TENON_EXPORTED void operator delete(void* data, const std::nothrow_t&) noexcept { give_back(data); }
TENON_EXPORTED void operator delete(void* data, std::align_val_t) noexcept { give_back(data); }
TENON_EXPORTED void operator delete(void* data, size_t, std::align_val_t) noexcept {
  give_back(data);
}
