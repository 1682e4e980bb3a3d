#include "tenon/core/host_memory.h"

#if defined(__linux__)
#include <sys/sysinfo.h>
#else
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tenon/core/buffer.h"

namespace tenon {
namespace {

std::atomic<size_t> counted_bytes{0};
std::atomic<size_t> refused_bytes{0};

#if defined(__linux__)
// A number in `path`; SIZE_MAX where there is none ("max").
size_t limit_in(const std::string& path) {
  std::ifstream file(path);
  size_t limit = 0;
  return file >> limit ? limit : SIZE_MAX;
}

// The limits of the process's cgroup and of those around it, as cgroups(7) lays them out: version 2
// has one hierarchy (its line begins with "0::"), version 1 one for memory.
size_t cgroup_limit() {
  size_t limit = SIZE_MAX;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const bool unified = line.starts_with("0::");
    const size_t memory = line.find(":memory:");
    if (!unified && memory == std::string::npos) continue;
    const std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const std::string name = unified ? "/memory.max" : "/memory.limit_in_bytes";
    std::string group = line.substr(unified ? 3 : memory + 8);
    for (;;) {
      limit = std::min(limit, limit_in(root + (group == "/" ? "" : group) + name));
      const size_t slash = group.rfind('/');
      if (slash == std::string::npos || group.size() <= 1) break;
      group = group.substr(0, std::max<size_t>(slash, 1));
    }
  }
  return limit;
}
#endif

size_t find_limit() {
#if defined(__linux__)
  struct sysinfo info = {};
  if (sysinfo(&info) != 0) return cgroup_limit();
  const uint64_t bytes = (uint64_t{info.totalram} + info.totalswap) * info.mem_unit;
  return static_cast<size_t>(std::min<uint64_t>(bytes, cgroup_limit()));
#else
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
#endif
}

// The limit that holds; a function's static, so that allocations before main() find it made.
std::atomic<size_t>& limit() {
  static std::atomic<size_t> bytes{find_limit()};
  return bytes;
}

}  // namespace

size_t host_memory_limit() { return limit().load(std::memory_order_relaxed); }

void set_host_memory_limit(size_t bytes) {
  limit().store(std::min(bytes, host_memory_limit()), std::memory_order_relaxed);
}

bool take_host_memory(size_t bytes) {
  if (bytes > host_memory_limit()) {
    note_refused_host_memory(bytes);
    return false;
  }
  if (counted_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes <= host_memory_limit()) {
    return true;
  }
  give_back_host_memory(bytes);
  note_refused_host_memory(bytes);
  return false;
}

void note_refused_host_memory(size_t bytes) {
  size_t most = refused_bytes.load(std::memory_order_relaxed);
  while (most < bytes && !refused_bytes.compare_exchange_weak(most, bytes)) {
  }
}

size_t take_refused_host_memory() { return refused_bytes.exchange(0, std::memory_order_relaxed); }

void give_back_host_memory(size_t bytes) {
  counted_bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

void* allocate_host_memory(size_t bytes) {
  const bool counted = bytes >= kCountedHostMemory;
  if (counted && !take_host_memory(bytes)) return nullptr;
  const size_t rounded = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded);
  if (!data && counted) give_back_host_memory(bytes);
  return data;
}

void free_host_memory(void* data, size_t bytes) {
  std::free(data);
  if (bytes >= kCountedHostMemory) give_back_host_memory(bytes);
}

}  // namespace tenon
