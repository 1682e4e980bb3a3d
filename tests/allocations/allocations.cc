#include "tests/allocations/allocations.h"

#include <execinfo.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

// glibc's own, under the names that do not go through this file.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace tenon::allocations {
namespace {

std::atomic<bool> counting{false};
std::atomic<int64_t> counted{0};
constexpr int kFrames = 24;
void* frames[kFrames];
std::atomic<int> frame_count{0};
thread_local bool inside = false;  // backtrace may allocate

void count() {
  if (!counting.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  if (counted++ == 0) frame_count = backtrace(frames, kFrames);
  inside = false;
}

}  // namespace

void start_counting() {
  void* warm[kFrames];
  backtrace(warm, kFrames);  // loads what it needs
  counted = 0;
  frame_count = 0;
  counting = true;
}

int64_t stop_counting() {
  counting = false;
  return counted;
}

std::string first_stack() {
  std::string text;
  char** symbols = backtrace_symbols(frames, frame_count);
  for (int i = 0; i < frame_count; ++i) text += std::string(symbols[i]) + "\n";
  std::free(symbols);
  return text;
}

}  // namespace tenon::allocations

using tenon::allocations::count;

extern "C" {
void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}
void* realloc(void* memory, size_t size) {
  count();
  return __libc_realloc(memory, size);
}
void* memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}
}

void* operator new(size_t size) {
  count();
  if (void* memory = __libc_malloc(size)) return memory;
  std::abort();
}
void* operator new(size_t size, std::align_val_t alignment) {
  count();
  if (void* memory = __libc_memalign(static_cast<size_t>(alignment), size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
