#include "tenon/image/build/tree.h"

#include <algorithm>
#include <array>
#include <set>

namespace tenon::image {
namespace {

constexpr std::array<std::string_view, 6> kMerged = {"bin",   "lib",    "lib32",
                                                     "lib64", "libx32", "sbin"};
constexpr int kMostLinks = 40;

bool is_merged(std::string_view name) {
  return std::find(kMerged.begin(), kMerged.end(), name) != kMerged.end();
}

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

StatusOr<bool> same_content(const TreeNode& a, const TreeNode& b) {
  if (a.size != b.size) return false;
  std::string left(128 << 10, '\0'), right(128 << 10, '\0');
  for (uint64_t at = 0; at < a.size;) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(left.size(), a.size - at));
    TENON_RETURN_IF_ERROR(read_content(a, at, std::span(left).first(count)));
    TENON_RETURN_IF_ERROR(read_content(b, at, std::span(right).first(count)));
    if (std::string_view(left.data(), count) != std::string_view(right.data(), count)) return false;
    at += count;
  }
  return true;
}

}  // namespace

const TreeNode* Tree::find(std::string_view path) const {
  for (const Tree* tree = this; tree != nullptr; tree = tree->below_) {
    const auto found = tree->nodes_.find(std::string(path));
    if (found != tree->nodes_.end()) return &found->second;
  }
  return nullptr;
}

std::string Tree::resolve(std::string_view path, bool follow_last) const {
  std::vector<std::string> todo;
  for (std::string_view part : split(path, '/')) todo.emplace_back(part);
  std::reverse(todo.begin(), todo.end());
  std::string at;
  int links = 0;
  while (!todo.empty()) {
    const std::string part = std::move(todo.back());
    todo.pop_back();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      at = std::string(parent_of(at));
      continue;
    }
    const std::string next = at.empty() ? part : cat(at, "/", part);
    const TreeNode* node = find(next);
    if (node != nullptr && node->type == EntryType::kSymlink && (follow_last || !todo.empty())) {
      if (++links > kMostLinks) return {};
      if (node->link.starts_with('/')) at.clear();
      const auto parts = split(node->link, '/');
      for (auto it = parts.rbegin(); it != parts.rend(); ++it) todo.emplace_back(*it);
      continue;
    }
    at = next;
  }
  return at;
}

bool Tree::has_folder(std::string_view path) const {
  const std::string real = resolve(path);
  const TreeNode* node = real.empty() ? nullptr : find(real);
  return node != nullptr && node->type == EntryType::kDirectory;
}

Status Tree::add(std::string_view path, TreeNode node, bool replace) {
  // In a layer such a name takes away a file of the layers below.
  if (path.starts_with(".wh.") || path.find("/.wh.") != std::string_view::npos) {
    return invalid_argument(node.origin, ": '", path, "' has a name that begins with .wh., which ",
                            "images cannot hold");
  }
  std::string place(path);
  const size_t slash = place.find('/');
  const std::string first = place.substr(0, slash);
  if (is_merged(first)) {
    const TreeNode* link = find(first);
    if (link != nullptr && link->type == EntryType::kSymlink) {
      if (slash == std::string::npos) {
        if (node.type == EntryType::kDirectory) return {};
      } else {
        place = cat("usr/", place);
      }
    }
  }
  for (std::string_view up = parent_of(place); !up.empty(); up = parent_of(up)) {
    const TreeNode* above = find(up);
    if (above != nullptr && above->type != EntryType::kDirectory) {
      return invalid_argument(node.origin, ": '", path, "' goes through '", up,
                              "', which is no folder but comes from ", above->origin);
    }
  }
  if (node.type == EntryType::kHardLink && is_merged(node.link.substr(0, node.link.find('/')))) {
    const TreeNode* link = find(node.link.substr(0, node.link.find('/')));
    if (link != nullptr && link->type == EntryType::kSymlink) node.link = cat("usr/", node.link);
  }
  const TreeNode* hidden = find(place);
  if (hidden != nullptr && hidden->type == EntryType::kDirectory &&
      node.type != EntryType::kDirectory) {
    return already_exists("'", place, "' is a folder of ", hidden->origin, ", which ", node.origin,
                          " would hide");
  }
  const auto existing = nodes_.find(place);
  if (existing == nodes_.end()) {
    nodes_.emplace(std::move(place), std::move(node));
    return {};
  }
  TreeNode& old = existing->second;
  if (old.type == EntryType::kDirectory && node.type == EntryType::kDirectory) {
    if (replace) old = std::move(node);
    return {};
  }
  if (replace) {
    old = std::move(node);
    return {};
  }
  bool equal = old.type == node.type && old.link == node.link;
  if (equal && old.type == EntryType::kFile) {
    TENON_ASSIGN_OR_RETURN(equal, same_content(old, node));
  }
  if (equal) return {};
  return already_exists("'", place, "' comes from both ", old.origin, " and ", node.origin);
}

void Tree::put(std::string path, TreeNode node) {
  const auto old = nodes_.find(path);
  if (old != nodes_.end() && old->second.type == EntryType::kDirectory &&
      node.type != EntryType::kDirectory) {
    remove(path);
  }
  nodes_.insert_or_assign(std::move(path), std::move(node));
}

Status Tree::add_text(std::string_view path, std::string text, uint32_t mode) {
  TreeNode node;
  node.mode = mode;
  node.size = text.size();
  node.text = std::move(text);
  node.origin = "tenon image";
  return add(path, std::move(node), true);
}

Status Tree::add_link(std::string_view path, std::string target) {
  TreeNode node;
  node.type = EntryType::kSymlink;
  node.mode = 0777;
  node.link = std::move(target);
  node.origin = "tenon image";
  return add(path, std::move(node), true);
}

Status Tree::add_folder(std::string_view path, uint32_t mode, uint64_t uid, uint64_t gid) {
  TreeNode node;
  node.type = EntryType::kDirectory;
  node.mode = mode;
  node.uid = uid;
  node.gid = gid;
  node.origin = "tenon image";
  return add(path, std::move(node), true);
}

void Tree::remove(std::string_view path) {
  const std::string prefix = cat(path, "/");
  nodes_.erase(std::string(path));
  for (auto it = nodes_.lower_bound(prefix); it != nodes_.end() && it->first.starts_with(prefix);) {
    it = nodes_.erase(it);
  }
}

Status Tree::add_usrmerge_links(std::string_view debian_architecture) {
  for (std::string_view name : {"bin", "lib", "sbin"}) {
    TENON_RETURN_IF_ERROR(add_folder(cat("usr/", name)));
    TENON_RETURN_IF_ERROR(add_link(name, cat("usr/", name)));
  }
  if (debian_architecture != "amd64") return {};
  TENON_RETURN_IF_ERROR(add_folder("usr/lib64"));
  return add_link("lib64", "usr/lib64");
}

Status Tree::for_each(FunctionRef<Status(const std::string&, const TreeNode&)> visit) const {
  std::set<std::string_view> paths;
  for (const Tree* tree = this; tree != nullptr; tree = tree->below_) {
    for (const auto& [path, node] : tree->nodes_) paths.insert(path);
  }
  for (std::string_view path : paths) {
    TENON_RETURN_IF_ERROR(visit(std::string(path), *find(path)));
  }
  return {};
}

Status read_content(const TreeNode& node, uint64_t offset, std::span<char> out) {
  if (node.spool != nullptr) return node.spool->read(node.offset + offset, out);
  if (!node.host_path.empty()) {
    TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(node.host_path));
    return file->read(node.offset + offset, out);
  }
  if (offset + out.size() > node.text.size()) return out_of_range("read past the end of a file");
  std::copy_n(node.text.data() + offset, out.size(), out.data());
  return {};
}

StatusOr<std::string> read_text(const TreeNode& node, uint64_t limit) {
  if (node.size > limit) {
    return resource_exhausted(node.origin, ": a file of ", node.size, " bytes, at most ", limit);
  }
  std::string text(static_cast<size_t>(node.size), '\0');
  TENON_RETURN_IF_ERROR(read_content(node, 0, text));
  return text;
}

Status copy_content(const TreeNode& node, ByteSink& sink) {
  std::string window(256 << 10, '\0');
  for (uint64_t at = 0; at < node.size;) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(window.size(), node.size - at));
    TENON_RETURN_IF_ERROR(read_content(node, at, std::span(window).first(count)));
    TENON_RETURN_IF_ERROR(sink.write(std::string_view(window.data(), count)));
    at += count;
  }
  return {};
}

namespace {

// Hard links by the name that holds their content: the first of each group in path order.
std::map<std::string, std::string> first_names(const Tree& tree) {
  std::map<std::string, std::string> first;  // content's path to the first name
  for (const auto& [path, node] : tree.nodes()) {
    if (node.type != EntryType::kHardLink) continue;
    auto [entry, fresh] = first.emplace(node.link, std::min(node.link, path));
    if (!fresh) entry->second = std::min(entry->second, path);
  }
  return first;
}

class ContentToTar final : public ByteSink {
 public:
  explicit ContentToTar(TarWriter& writer) : writer_(writer) {}
  Status write(std::string_view bytes) override { return writer_.content(bytes); }

 private:
  TarWriter& writer_;
};

}  // namespace

Status write_layer_tar(const Tree& tree, int64_t mtime, ByteSink& sink) {
  std::map<std::string, const TreeNode*> entries;
  static const TreeNode plain_folder = [] {
    TreeNode node;
    node.type = EntryType::kDirectory;
    node.mode = 0755;
    return node;
  }();
  for (const auto& [path, node] : tree.nodes()) {
    entries[path] = &node;
    for (std::string_view up = parent_of(path); !up.empty(); up = parent_of(up)) {
      const TreeNode* above = tree.find(up);
      if (!entries.emplace(up, above == nullptr ? &plain_folder : above).second) break;
    }
  }
  const auto first = first_names(tree);
  TarWriter writer(sink);
  ContentToTar content(writer);
  for (const auto& [path, node] : entries) {
    TarEntry entry{path, node->type, node->mode, node->uid, node->gid, mtime, 0, node->link};
    const TreeNode* holder = node;
    const std::string& target = node->type == EntryType::kHardLink ? node->link : path;
    if (const auto group = first.find(target); group != first.end()) {
      const auto file = tree.nodes().find(target);
      if (file == tree.nodes().end() || file->second.type != EntryType::kFile) {
        return invalid_argument(node->origin, ": hard link '", path, "' to '", target,
                                "', which is no file of the same layer");
      }
      holder = &file->second;
      entry.mode = holder->mode;
      entry.uid = holder->uid;
      entry.gid = holder->gid;
      entry.type = group->second == path ? EntryType::kFile : EntryType::kHardLink;
      entry.link = entry.type == EntryType::kFile ? std::string() : group->second;
    }
    if (entry.type == EntryType::kFile) entry.size = holder->size;
    TENON_RETURN_IF_ERROR(writer.add(entry));
    if (entry.type == EntryType::kFile) TENON_RETURN_IF_ERROR(copy_content(*holder, content));
  }
  return writer.finish();
}

bool glob_matches(std::string_view pattern, std::string_view path) {
  // Backtracks to the last '**', or to the last '*' within the component.
  size_t p = 0, s = 0;
  size_t star = std::string_view::npos, star_at = 0;
  size_t deep = std::string_view::npos, deep_at = 0;
  while (s < path.size() || p < pattern.size()) {
    if (pattern.substr(p).starts_with("**")) {
      deep = p += 2;
      deep_at = s;
      star = std::string_view::npos;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_at = s;
      continue;
    }
    if (p < pattern.size() && s < path.size() && pattern[p] == path[s]) {
      ++p;
      ++s;
      continue;
    }
    if (star != std::string_view::npos && star_at < path.size() && path[star_at] != '/') {
      p = star;
      s = ++star_at;
      continue;
    }
    if (deep != std::string_view::npos && deep_at < path.size()) {
      p = deep;
      s = ++deep_at;
      star = std::string_view::npos;
      continue;
    }
    return false;
  }
  return true;
}

bool excluded(const std::vector<std::string>& patterns, std::string_view path) {
  bool out = false;
  for (std::string_view pattern : patterns) {
    const bool keeps = pattern.starts_with('!');
    if (out == keeps && glob_matches(keeps ? pattern.substr(1) : pattern, path)) out = !keeps;
  }
  return out;
}

}  // namespace tenon::image
