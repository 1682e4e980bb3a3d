#include "tests/allocations/allocations.h"

#include <dlfcn.h>
#include <execinfo.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
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
std::atomic<int64_t> of_program{0};
std::atomic<int64_t> of_onednn{0};
constexpr int kFrames = 24;
void* frames[kFrames];
std::atomic<int> frame_count{0};
thread_local bool inside = false;  // dladdr and backtrace may allocate

bool in_onednn(void* address) {
  Dl_info info;
  return dladdr(address, &info) != 0 && info.dli_fname && std::strstr(info.dli_fname, "libdnnl");
}

void count(void* caller) {
  if (!counting.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  if (in_onednn(caller)) {
    ++of_onednn;
  } else if (of_program++ == 0) {
    frame_count = backtrace(frames, kFrames);
  }
  inside = false;
}

}  // namespace

void start_counting() {
  void* warm[kFrames];
  backtrace(warm, kFrames);  // loads what it needs
  of_program = 0;
  of_onednn = 0;
  frame_count = 0;
  counting = true;
}

Counts stop_counting() {
  counting = false;
  return {of_program, of_onednn};
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
  count(__builtin_return_address(0));
  return __libc_malloc(size);
}
void* calloc(size_t number, size_t size) {
  count(__builtin_return_address(0));
  return __libc_calloc(number, size);
}
void* realloc(void* memory, size_t size) {
  count(__builtin_return_address(0));
  return __libc_realloc(memory, size);
}
void* memalign(size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}
}

// The program's own, so that the caller is whoever said `new` and not the C++ library.
void* operator new(size_t size) {
  count(__builtin_return_address(0));
  if (void* memory = __libc_malloc(size)) return memory;
  std::abort();
}
void* operator new(size_t size, std::align_val_t alignment) {
  count(__builtin_return_address(0));
  if (void* memory = __libc_memalign(static_cast<size_t>(alignment), size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
