// /etc/ld.so.cache in glibc's format 1.1, as ldconfig would write it for a tree.
#pragma once

#include "tenon/image/build/tree.h"

namespace tenon::image {

// One library as the loader finds it.
struct CachedLibrary {
  std::string soname;
  std::string path;    // absolute
  uint32_t flags = 0;  // glibc's FLAG_*: kind of file and ABI
};

// The folders of /etc/ld.so.conf, its includes, and the default ones; in order, each once.
StatusOr<std::vector<std::string>> library_folders_of(const Tree& tree);

// The libraries in these folders: a file is known by its DT_SONAME, and by its own name when that
// is a link for the linker ("libz.so"). Entries whose target does not exist are left out.
StatusOr<std::vector<CachedLibrary>> find_libraries(const Tree& tree);

// Format of elf/cache.c and sysdeps/generic/dl-cache.h in glibc 2.36.
std::string write_ld_cache(std::vector<CachedLibrary> libraries);

}  // namespace tenon::image
