#include "tenon/image/build/compare.h"

#include <algorithm>
#include <set>

namespace tenon::image {
namespace {

std::string octal(uint32_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) text += static_cast<char>('0' + (mode >> shift & 7));
  return text;
}

std::string_view type_name(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return "a file";
    case EntryType::kHardLink:
      return "a hard link";
    case EntryType::kSymlink:
      return "a symbolic link";
    case EntryType::kDirectory:
      return "a folder";
    default:
      return "a device";
  }
}

std::string node_difference(const TreeNode& a, const TreeNode& b) {
  const auto differs = [](std::string_view what, const auto& x, const auto& y) {
    return cat("has ", what, " ", x, " in A and ", y, " in B");
  };
  if (a.type != b.type)
    return cat("is ", type_name(a.type), " in A and ", type_name(b.type), " in B");
  if (a.link != b.link) return differs("the target", a.link, b.link);
  if (a.size != b.size) return differs("size", a.size, b.size);
  if (a.sha256 != b.sha256) return differs("content of sha256", a.sha256, b.sha256);
  if (a.mode != b.mode) return differs("mode", octal(a.mode), octal(b.mode));
  if (a.uid != b.uid || a.gid != b.gid) {
    return differs("owner", cat(a.uid, ":", a.gid), cat(b.uid, ":", b.gid));
  }
  if (a.mtime != b.mtime) return differs("time", a.mtime, b.mtime);
  return {};
}

StatusOr<std::string> file_difference(const Tree& a, const Tree& b) {
  std::set<std::string> paths;
  for (const auto& [path, node] : a.nodes()) paths.insert(path);
  for (const auto& [path, node] : b.nodes()) paths.insert(path);
  for (const std::string& path : paths) {
    const TreeNode* left = a.find(path);
    const TreeNode* right = b.find(path);
    if (left == nullptr || right == nullptr) {
      return cat("/", path, " is only in ", left == nullptr ? "B" : "A");
    }
    const std::string difference = node_difference(*left, *right);
    if (!difference.empty()) return cat("/", path, " ", difference);
  }
  return std::string();
}

}  // namespace

StatusOr<std::string> first_difference(const ImageReader& reader_a, const Image& a,
                                       const ImageReader& reader_b, const Image& b) {
  // An index may name a digest that its bytes do not have: everything is read, whatever it says.
  const auto none = [](const std::string&, const TreeNode&) { return false; };
  TENON_ASSIGN_OR_RETURN(const auto tree_a, read_file_system(reader_a, a, none, true));
  TENON_ASSIGN_OR_RETURN(const auto tree_b, read_file_system(reader_b, b, none, true));
  TENON_ASSIGN_OR_RETURN(std::string difference, file_difference(*tree_a, *tree_b));
  if (!difference.empty()) return difference;
  for (size_t i = 0; i < std::min(a.manifest.layers.size(), b.manifest.layers.size()); ++i) {
    const std::string& left = a.manifest.layers[i].digest;
    const std::string& right = b.manifest.layers[i].digest;
    if (left == right) continue;
    const bool same_tar = i < a.config.diff_ids.size() && i < b.config.diff_ids.size() &&
                          a.config.diff_ids[i] == b.config.diff_ids[i];
    return cat("the files are equal; layer ", i + 1, " is ", left, " in A and ", right, " in B, ",
               same_tar ? "the same tar compressed otherwise" : "with other tar headers");
  }
  if (a.manifest.layers.size() != b.manifest.layers.size()) {
    return cat("the files are equal, in ", a.manifest.layers.size(), " layers in A and ",
               b.manifest.layers.size(), " in B");
  }
  TENON_ASSIGN_OR_RETURN(const std::string config_a, reader_a.read_blob(a.manifest.config));
  TENON_ASSIGN_OR_RETURN(const std::string config_b, reader_b.read_blob(b.manifest.config));
  const auto [at, other] =
      std::mismatch(config_a.begin(), config_a.end(), config_b.begin(), config_b.end());
  if (at != config_a.end() || other != config_b.end()) {
    const size_t offset = static_cast<size_t>(at - config_a.begin());
    const size_t begin = offset > 40 ? offset - 40 : 0;
    return cat("the files are equal; the configuration differs at '", config_a.substr(begin, 100),
               "' in A and '", config_b.substr(begin, 100), "' in B");
  }
  TENON_ASSIGN_OR_RETURN(const std::string manifest_a, reader_a.read_blob(a.descriptor));
  TENON_ASSIGN_OR_RETURN(const std::string manifest_b, reader_b.read_blob(b.descriptor));
  if (manifest_a == manifest_b) return std::string();
  return std::string("files and configuration are equal; the manifests' annotations differ");
}

}  // namespace tenon::image
