// Any bytes as a Debian package: refused, or its control data and entries are read.

#include "tenon/image/debian/deb.h"
#include "tests/fuzz/temporary_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path =
      tenon::temporary_file({reinterpret_cast<const char*>(data), size}, ".deb");
  const auto deb = tenon::image::DebFile::open(path, "input");
  if (!deb.ok()) return 0;
  const auto skip = [](const tenon::image::TarEntry&, tenon::image::TarReader&) {
    return tenon::Status();
  };
  (void)(*deb)->for_each_entry(skip, {.file_bytes = 1 << 24, .total_bytes = 1 << 25}).ok();
  (void)tenon::image::changelog_of(**deb, "input").ok();
  return 0;
}
