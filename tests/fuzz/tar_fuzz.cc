// Any bytes as an archive, compressed or not: every entry is refused, or read to the length it
// states.

#include <cstdlib>

#include "tenon/image/archive/compression.h"
#include "tenon/image/archive/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tenon::image::StringSource bytes({reinterpret_cast<const char*>(data), size});
  const auto source = tenon::image::open_compressed(bytes, "input");
  if (!source.ok()) return 0;
  tenon::image::TarReader reader(**source, "input",
                                 {.file_bytes = 1 << 24, .total_bytes = 1 << 25, .entries = 1000});
  tenon::image::TarEntry entry;
  for (auto more = reader.next(entry); more.ok() && *more; more = reader.next(entry)) {
    if (entry.path.starts_with('/') || entry.path.starts_with("../")) std::abort();
    char piece[4096];
    uint64_t total = 0;
    auto count = reader.read(piece);
    for (; count.ok() && *count > 0; count = reader.read(piece)) total += *count;
    if (count.ok() && total != entry.size) std::abort();
  }
  return 0;
}
