// Which shared libraries the programs of a tree load: what ELF files say they link, and what they
// name where they call dlopen.
#pragma once

#include <set>

#include "tenon/image/build/elf.h"
#include "tenon/image/build/tree.h"

namespace tenon::image {

ElfInfo elf_of_node(const TreeNode& node);

// Programs and libraries of `tree` whose path `chosen` admits, and what they link, must all be
// found. NOT_FOUND names the library and who links it.
Status check_linked_libraries(const Tree& tree, FunctionRef<bool(const std::string&)> chosen);

// The program at `path` of `tree` and every file that it loads, by path.
StatusOr<std::set<std::string>> loaded_files(const Tree& tree, const std::string& path);

// Libraries of packages in the loader's folders that nothing in `tree` can load, and the links to
// them, by path. Whatever else is an ELF file (programs, modules in folders of their own, files
// from outside the packages) counts as loaded, and so do, from there on,
// - what DT_NEEDED and PT_INTERP name;
// - where a file has dlopen: libraries whose name stands anywhere in it;
// - the services of etc/nsswitch.conf, whose names libc puts together;
// - `loaded`: names that only something outside the image knows.
StatusOr<std::set<std::string>> unloadable_libraries(const Tree& tree,
                                                     const std::vector<std::string>& loaded);

}  // namespace tenon::image
