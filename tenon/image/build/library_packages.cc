// From a program to the Debian packages of the libraries it links.
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "tenon/image/build/elf.h"
#include "tenon/image/debian/control.h"
#include "tenon/image/lock.h"

namespace tenon::image {
namespace {

StatusOr<ElfInfo> elf_of_file(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
  return read_elf(file->size(),
                  [&](uint64_t offset, std::span<char> out) { return file->read(offset, out); });
}

// The default folders of Debian's loader, most specific first.
std::vector<std::string> library_folders(const ElfInfo& program) {
  const std::string triplet = multiarch_triplet(program.machine);
  return {cat("/usr/lib/", triplet), cat("/lib/", triplet), "/usr/local/lib", "/usr/lib", "/lib"};
}

// Package by library file name, for files in the loader's folders. dpkg lists a path as it stands
// in the package, with or without "/usr" before "/lib".
StatusOr<std::map<std::string, std::string>> owners_of_libraries(const std::string& root) {
  const std::string folder = join_path(root, "var/lib/dpkg/info");
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
  std::map<std::string, std::string> owners;
  for (const std::string& name : names) {
    if (!name.ends_with(".list")) continue;
    const std::string package = name.substr(
        0, name.find_first_of(":") == std::string::npos ? name.size() - 5 : name.find(':'));
    TENON_ASSIGN_OR_RETURN(const std::string text,
                           read_file(join_path(folder, name), uint64_t{64} << 20));
    for (std::string_view line : split(text, '\n')) {
      if (line.find(".so") == std::string_view::npos) continue;
      const std::string path = line.starts_with("/lib") ? cat("/usr", line) : std::string(line);
      owners.emplace(path, package);
    }
  }
  return owners;
}

}  // namespace

const std::string& ProgramPaths::of(const Platform& platform) const {
  const auto found = by_platform.find(to_string(platform));
  return found == by_platform.end() ? path : found->second;
}

Status check_program(const std::string& program, const Platform& platform) {
  TENON_ASSIGN_OR_RETURN(const ElfInfo info, elf_of_file(program));
  if (!info.is_elf || info.machine == elf_machine(platform)) return {};
  const std::string triplet = multiarch_triplet(info.machine);
  return failed_precondition("'", program, "' is a program for ",
                             triplet.empty() ? cat("ELF machine ", info.machine) : triplet,
                             ", not for ", platform, "; pass --tenon ", platform, "=PATH");
}

StatusOr<std::vector<std::string>> library_packages(const std::string& program,
                                                    const std::string& root) {
  TENON_ASSIGN_OR_RETURN(const ElfInfo first, elf_of_file(program));
  if (!first.is_elf) return invalid_argument(program, " is not an ELF program");
  TENON_ASSIGN_OR_RETURN(const auto owners, owners_of_libraries(root));
  std::set<std::string> packages, seen;
  std::deque<std::string> wanted(first.needed.begin(), first.needed.end());
  while (!wanted.empty()) {
    const std::string soname = wanted.front();
    wanted.pop_front();
    if (!seen.insert(soname).second) continue;
    std::string owner, found;
    for (const std::string& folder : library_folders(first)) {
      const std::string path = join_path(folder, soname);
      const auto entry = owners.find(path.starts_with("/lib") ? cat("/usr", path) : path);
      if (entry == owners.end()) continue;
      owner = entry->second;
      found = cat(root == "/" ? "" : root, path);
      break;
    }
    if (owner.empty()) {
      return not_found("no installed Debian package owns ", soname, ", which ", program,
                       " links; install it as a package, or link it statically");
    }
    packages.insert(owner);
    TENON_ASSIGN_OR_RETURN(const ElfInfo library, elf_of_file(found));
    wanted.insert(wanted.end(), library.needed.begin(), library.needed.end());
  }
  return std::vector<std::string>(packages.begin(), packages.end());
}

}  // namespace tenon::image
