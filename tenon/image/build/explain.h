// Where the files of an image come from.
#pragma once

#include "tenon/image/lock.h"
#include "tenon/image/oci/reader.h"

namespace tenon::image {

struct FileOrigin {
  std::string path;      // as it stands in the image, links in its folders followed
  std::string kind;      // "a file of 12 bytes, mode 0755, owner 0:0"
  size_t layer = 0;      // from 1, the last that has it
  std::string digest;    // of that layer
  std::string comment;   // of its history
  std::string package;   // "libc6 2.36-9", "wheel numpy 2.4.6"; empty: none owns it
  std::string declared;  // "line 12: packages libc6", when the lock is known
};

// NOT_FOUND when the image holds no such path. `lock` may be null.
StatusOr<FileOrigin> explain_file(const ImageReader& reader, const Image& image,
                                  const std::string& path, const Lock* lock);

struct OwnerSize {
  std::string
      owner;  // a package's name, "wheel NAME VERSION", or what else the files have in common
  uint64_t bytes = 0, compressed = 0;
};

// What each package and wheel takes, the largest first; `compressed` is of its files alone, so the
// sum is a little off the layers'.
StatusOr<std::vector<OwnerSize>> sizes_by_owner(const ImageReader& reader, const Image& image);

}  // namespace tenon::image
