#include "tenon/image/build/ld_cache.h"

#include <algorithm>
#include <set>

#include "tenon/image/build/links.h"

namespace tenon::image {
namespace {

constexpr uint64_t kConfLimit = 1 << 20;

// glibc's flags: ELF for libc6, and the ABI (FLAG_X8664_LIB64, FLAG_AARCH64_LIB64,
// FLAG_ARM_LIBHF). 0: a machine that we do not build for.
uint32_t cache_flags(const ElfInfo& elf) {
  if (elf.machine == 62 && elf.is_64) return 0x0303;
  if (elf.machine == 183) return 0x0a03;
  if (elf.machine == 40) return 0x0903;
  return 0;
}

// glibc's order: runs of digits compare as numbers, all else by byte.
int compare_library_names(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0, j = 0;
  while (i < a.size()) {
    const char x = a[i], y = j < b.size() ? b[j] : '\0';
    if (digit(x)) {
      if (!digit(y)) return 1;
      uint64_t left = 0, right = 0;
      while (i < a.size() && digit(a[i])) left = left * 10 + static_cast<uint64_t>(a[i++] - '0');
      while (j < b.size() && digit(b[j])) right = right * 10 + static_cast<uint64_t>(b[j++] - '0');
      if (left != right) return left < right ? -1 : 1;
    } else {
      if (digit(y)) return -1;
      if (x != y) return static_cast<signed char>(x) < static_cast<signed char>(y) ? -1 : 1;
      ++i;
      ++j;
    }
  }
  return j < b.size() ? -1 : 0;
}

void append_le(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

// "DIR/*.conf" among the paths of the tree, sorted.
std::vector<std::string> expand_include(const Tree& tree, std::string_view pattern) {
  std::vector<std::string> paths;
  (void)tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (node.type != EntryType::kDirectory && glob_matches(pattern, path)) paths.push_back(path);
    return {};
  });
  return paths;
}

Status read_conf(const Tree& tree, const std::string& path, int depth,
                 std::vector<std::string>& folders) {
  if (depth > 8) return invalid_argument("/etc/ld.so.conf: includes nested too deep");
  const TreeNode* node = tree.find(tree.resolve(path));
  if (node == nullptr || node->type != EntryType::kFile) return {};
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(*node, kConfLimit));
  for (std::string_view line : split(text, '\n')) {
    line = trim(line.substr(0, line.find('#')));
    if (line.starts_with("include")) {
      const std::string_view pattern = trim(line.substr(7));
      const std::string absolute = pattern.starts_with('/')
                                       ? std::string(pattern.substr(1))
                                       : cat(path.substr(0, path.rfind('/') + 1), pattern);
      for (const std::string& included : expand_include(tree, absolute)) {
        TENON_RETURN_IF_ERROR(read_conf(tree, included, depth + 1, folders));
      }
    } else if (line.starts_with('/')) {
      folders.emplace_back(line);
    }
  }
  return {};
}

bool is_library_name(std::string_view name) {
  return (name.starts_with("lib") || name.starts_with("ld-") || name.starts_with("ld.")) &&
         name.find(".so") != std::string_view::npos;
}

// The name under which ldconfig records the folder entry `name`.
std::string cache_key(std::string_view name, bool is_link, const std::string& soname) {
  if (soname.empty()) return std::string(name);
  const bool for_linker = is_link && name.ends_with(".so") && soname.starts_with(name);
  return for_linker ? std::string(name) : soname;
}

}  // namespace

StatusOr<std::vector<std::string>> library_folders_of(const Tree& tree) {
  std::vector<std::string> listed;
  TENON_RETURN_IF_ERROR(read_conf(tree, "etc/ld.so.conf", 0, listed));
  listed.insert(listed.end(), {"/lib", "/usr/lib"});
  std::vector<std::string> folders;
  std::set<std::string> seen;
  for (const std::string& folder : listed) {
    const std::string real = tree.resolve(std::string_view(folder).substr(1));
    const TreeNode* node = tree.find(real);
    if (node == nullptr || node->type != EntryType::kDirectory) continue;
    if (seen.insert(real).second) folders.push_back(folder);
  }
  return folders;
}

StatusOr<std::vector<CachedLibrary>> find_libraries(const Tree& tree) {
  TENON_ASSIGN_OR_RETURN(const auto folders, library_folders_of(tree));
  std::map<std::string, std::string> folder_of;  // real folder to its spelling
  for (const std::string& folder : folders) {
    folder_of[tree.resolve(std::string_view(folder).substr(1))] = folder;
  }
  std::vector<CachedLibrary> libraries;
  std::set<std::string> known;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || !is_library_name(std::string_view(path).substr(slash + 1))) {
      return {};
    }
    const auto folder = folder_of.find(path.substr(0, slash));
    if (folder == folder_of.end()) return {};
    const TreeNode* target = tree.find(tree.resolve(path));
    if (target == nullptr) return {};
    if (target->type == EntryType::kHardLink) target = tree.find(target->link);
    if (target == nullptr || target->type != EntryType::kFile) return {};
    const ElfInfo elf = elf_of_node(*target);
    const uint32_t flags = cache_flags(elf);
    if (!elf.is_elf || !elf.is_shared || flags == 0) return {};
    const bool is_link = node.type == EntryType::kSymlink;
    const std::string key =
        cache_key(std::string_view(path).substr(slash + 1), is_link, elf.soname);
    if (tree.find(cat(path.substr(0, slash), "/", key)) == nullptr) return {};
    const std::string place = cat(folder->second, "/", key);
    if (known.insert(place).second) libraries.push_back({key, place, flags});
    return {};
  }));
  // Folders earlier in the configuration win for equal names.
  std::stable_sort(libraries.begin(), libraries.end(), [&](const auto& a, const auto& b) {
    const auto rank = [&](const CachedLibrary& library) {
      const std::string folder = library.path.substr(0, library.path.rfind('/'));
      return std::find(folders.begin(), folders.end(), folder) - folders.begin();
    };
    return rank(a) < rank(b);
  });
  return libraries;
}

std::string write_ld_cache(std::vector<CachedLibrary> libraries) {
  std::stable_sort(libraries.begin(), libraries.end(), [](const auto& a, const auto& b) {
    const int order = compare_library_names(a.soname, b.soname);
    return order != 0 ? order > 0 : a.flags > b.flags;
  });
  constexpr size_t kHeader = 48, kEntry = 24;
  const size_t strings_at = kHeader + kEntry * libraries.size();
  std::string entries, strings;
  for (const CachedLibrary& library : libraries) {
    append_le(entries, library.flags, 4);
    append_le(entries, strings_at + strings.size(), 4);
    strings += library.soname + '\0';
    append_le(entries, strings_at + strings.size(), 4);
    strings += library.path + '\0';
    append_le(entries, 0, 4);  // osversion, unused
    append_le(entries, 0, 8);  // hwcap
  }
  std::string out = "glibc-ld.so.cache1.1";
  append_le(out, libraries.size(), 4);
  append_le(out, strings.size(), 4);
  out += '\2';  // little endian
  out.append(3, '\0');
  append_le(out, 0, 4);  // no extensions
  out.append(12, '\0');
  return out + entries + strings;
}

}  // namespace tenon::image
