// Any bytes as a zip archive: every member is refused, or read to the length its entry states.

#include <cstdlib>

#include "tenon/io/zip.h"
#include "tests/fuzz/temporary_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path =
      tenon::temporary_file({reinterpret_cast<const char*>(data), size}, ".zip");
  const auto zip = tenon::ZipReader::open(path);
  if (!zip.ok()) return 0;
  for (const tenon::ZipEntry& entry : (*zip)->entries()) {
    const auto bytes = (*zip)->read(entry.name);
    const tenon::ZipEntry* found = (*zip)->find(entry.name);
    if (bytes.ok() && (!found || bytes->size() != found->size)) std::abort();
  }
  return 0;
}
