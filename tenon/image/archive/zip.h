// zip archives as wheels use them: stored and deflated members, no encryption, no Zip64.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/image/net.h"

namespace tenon::image {

struct ZipEntry {
  std::string path;  // normalised as TarEntry::path
  bool directory = false;
  uint32_t mode = 0644;  // from the Unix attributes, 0644 or 0755 when there are none
  uint64_t size = 0;
};

// Calls `visit` with each member in the order of the central directory; the source gives the
// uncompressed content, whose CRC is checked once it is read to its end. Paths that leave the
// archive's root, links, encrypted members, and members past 4 GB in sum are refused.
Status for_each_zip_entry(const RandomAccessFile& file, std::string_view what,
                          FunctionRef<Status(const ZipEntry&, ByteSource&)> visit);

}  // namespace tenon::image
