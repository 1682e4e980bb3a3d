#include "tenon/graph/messages/message_bytes.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace tenon {

void MessageBytes::forget(std::string_view piece) {
  // Whole pages, which read as zeros afterwards. The memory is private: no file stands behind it.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(bytes_.data()) +
                     static_cast<uintptr_t>(piece.data() - bytes_.data());
  const uintptr_t begin = (start + page - 1) / page * page;
  const uintptr_t end = (start + piece.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace tenon
