#include "tenon/image/build/links.h"

#include <algorithm>
#include <deque>

#include "tenon/image/build/ld_cache.h"

namespace tenon::image {
namespace {

constexpr uint64_t kSwitchLimit = 1 << 20;

bool may_be_program(const std::string& path, const TreeNode& node) {
  return node.type == EntryType::kFile &&
         ((node.mode & 0111) != 0 || path.find(".so") != std::string::npos);
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == '+';
}

// Finds libraries as the loader would.
class Loader {
 public:
  static StatusOr<Loader> create(const Tree& tree) {
    Loader loader(tree);
    TENON_ASSIGN_OR_RETURN(const auto libraries, find_libraries(tree));
    for (const CachedLibrary& library : libraries) {
      loader.by_soname_.emplace(library.soname, library.path);
    }
    return loader;
  }

  // The path in the tree of what `soname` means to the file at `path`; empty: nothing.
  std::string find(const std::string& path, const ElfInfo& elf, const std::string& soname) const {
    const std::string origin = cat("/", path.substr(0, path.rfind('/')));
    for (std::string folder : elf.run_path) {
      if (folder.starts_with("$ORIGIN")) folder = cat(origin, folder.substr(7));
      if (folder.starts_with("${ORIGIN}")) folder = cat(origin, folder.substr(9));
      if (std::string place = file_at(join_path(folder, soname)); !place.empty()) return place;
    }
    return known(soname);
  }
  std::string known(const std::string& soname) const {
    const auto found = by_soname_.find(soname);
    return found == by_soname_.end() ? std::string() : file_at(found->second);
  }
  // The file that an absolute path leads to; a hard link's is the one with the content.
  std::string file_at(const std::string& path) const {
    if (!path.starts_with('/')) return {};
    std::string real = tree_.resolve(std::string_view(path).substr(1));
    const TreeNode* node = real.empty() ? nullptr : tree_.find(real);
    if (node == nullptr) return {};
    return node->type == EntryType::kHardLink ? node->link : real;
  }

 private:
  explicit Loader(const Tree& tree) : tree_(tree) {}
  const Tree& tree_;
  std::map<std::string, std::string> by_soname_;
};

// Adds every "NAME.so..." that stands in the content of `node`, whatever surrounds it.
Status library_names_in(const TreeNode& node, std::set<std::string>& names) {
  constexpr size_t kOverlap = 256;  // longer than a library's name
  std::string window;
  for (uint64_t at = 0; at < node.size;) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(1 << 20, node.size - at));
    const size_t kept = std::min(kOverlap, window.size());
    window = window.substr(window.size() - kept) + std::string(count, '\0');
    TENON_RETURN_IF_ERROR(read_content(node, at, std::span(window).subspan(kept)));
    at += count;
    for (size_t so = window.find(".so"); so != std::string::npos; so = window.find(".so", so + 1)) {
      size_t begin = so, end = so + 3;
      while (begin > 0 && is_name_character(window[begin - 1])) --begin;
      while (end < window.size() && is_name_character(window[end])) ++end;
      names.insert(window.substr(begin, end - begin));
    }
  }
  return {};
}

// Follows what is loaded from files of a tree.
class LoadSearch {
 public:
  LoadSearch(const Tree& tree, const Loader& loader) : tree_(tree), loader_(loader) {}

  void add(std::string path) {
    if (!path.empty() && seen_.insert(path).second) todo_.push_back(std::move(path));
  }

  Status run() {
    while (!todo_.empty()) {
      const std::string path = std::move(todo_.front());
      todo_.pop_front();
      const TreeNode* node = tree_.find(path);
      if (node == nullptr || node->type != EntryType::kFile) continue;
      const ElfInfo elf = elf_of_node(*node);
      for (const std::string& soname : elf.needed) add(loader_.find(path, elf, soname));
      add(loader_.file_at(elf.interpreter));
      if (!elf.opens_libraries) continue;
      std::set<std::string> names;
      TENON_RETURN_IF_ERROR(library_names_in(*node, names));
      for (const std::string& name : names) add(loader_.find(path, elf, name));
    }
    return {};
  }

  const std::set<std::string>& reached() const { return seen_; }

 private:
  const Tree& tree_;
  const Loader& loader_;
  std::deque<std::string> todo_;
  std::set<std::string> seen_;
};

// "hosts: files dns" loads libnss_files.so.2 and libnss_dns.so.2.
Status add_name_services(const Tree& tree, const Loader& loader, LoadSearch& search) {
  const TreeNode* node = tree.find("etc/nsswitch.conf");
  if (node == nullptr || node->type != EntryType::kFile) return {};
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(*node, kSwitchLimit));
  for (std::string_view line : split(text, '\n')) {
    const size_t colon = line.substr(0, line.find('#')).find(':');
    if (colon == std::string_view::npos) continue;
    for (std::string_view word : split(line.substr(colon + 1), ' ')) {
      search.add(loader.known(cat("libnss_", trim(word), ".so.2")));
    }
  }
  return {};
}

}  // namespace

ElfInfo elf_of_node(const TreeNode& node) {
  return read_elf(node.size, [&](uint64_t offset, std::span<char> out) {
    return read_content(node, offset, out);
  });
}

Status check_linked_libraries(const Tree& tree, FunctionRef<bool(const std::string&)> chosen) {
  TENON_ASSIGN_OR_RETURN(const Loader loader, Loader::create(tree));
  std::deque<std::string> todo;
  std::set<std::string> seen;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (may_be_program(path, node) && chosen(path)) todo.push_back(path);
    return {};
  }));
  while (!todo.empty()) {
    const std::string path = std::move(todo.front());
    todo.pop_front();
    const TreeNode* node = tree.find(path);
    if (node == nullptr || !seen.insert(path).second) continue;
    const ElfInfo elf = elf_of_node(*node);
    for (const std::string& soname : elf.needed) {
      todo.push_back(loader.find(path, elf, soname));
      if (!todo.back().empty()) continue;
      return not_found("/", path, " links ", soname,
                       ", which no file of the image provides; add its package to the image");
    }
  }
  return {};
}

StatusOr<std::set<std::string>> loaded_files(const Tree& tree, const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const Loader loader, Loader::create(tree));
  LoadSearch search(tree, loader);
  search.add(path);
  TENON_RETURN_IF_ERROR(search.run());
  return search.reached();
}

StatusOr<std::set<std::string>> unloadable_libraries(const Tree& tree,
                                                     const std::vector<std::string>& loaded) {
  TENON_ASSIGN_OR_RETURN(const Loader loader, Loader::create(tree));
  TENON_ASSIGN_OR_RETURN(const auto listed, library_folders_of(tree));
  std::set<std::string> folders;
  for (const std::string& folder : listed) {
    folders.insert(tree.resolve(std::string_view(folder).substr(1)));
  }
  const auto in_loader_folder = [&](const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash != std::string::npos && folders.contains(path.substr(0, slash)) &&
           path.find(".so", slash) != std::string::npos;
  };
  LoadSearch search(tree, loader);
  std::set<std::string> candidates;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (!may_be_program(path, node)) return {};
    const ElfInfo elf = elf_of_node(node);
    if (!elf.is_elf) return {};
    const bool library = elf.is_shared && node.origin.starts_with("package ");
    if (library && in_loader_folder(path)) {
      candidates.insert(path);
    } else {
      search.add(path);
    }
    return {};
  }));
  for (const std::string& name : loaded) search.add(loader.known(name));
  TENON_RETURN_IF_ERROR(add_name_services(tree, loader, search));
  TENON_RETURN_IF_ERROR(search.run());

  std::set<std::string> unloadable;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (!in_loader_folder(path) || node.type == EntryType::kDirectory) return {};
    const std::string file = loader.file_at(cat("/", path));
    if (candidates.contains(file) && !search.reached().contains(file)) unloadable.insert(path);
    return {};
  }));
  return unloadable;
}

}  // namespace tenon::image
