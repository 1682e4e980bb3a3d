#include "tenon/image/build/installed.h"

namespace tenon::image {
namespace {

constexpr uint64_t kStatusLimit = 64 << 20;
constexpr std::string_view kStatusFile = "var/lib/dpkg/status";
constexpr std::string_view kStatusFolder = "var/lib/dpkg/status.d/";

}  // namespace

bool is_package_metadata(const std::string& path, const TreeNode&) {
  return path == kStatusFile || path.starts_with(kStatusFolder) || path.ends_with("os-release") ||
         path == "etc/passwd" || path == "etc/group";
}

StatusOr<std::vector<Package>> installed_packages(const Tree& tree) {
  std::map<std::string, Package> found;
  const auto take = [&](const Stanza& stanza) -> Status {
    const std::string_view status = stanza.get("Status");
    if (status.starts_with("deinstall") || status.starts_with("purge")) return {};
    auto package = package_of_stanza(stanza);
    // A scanner must not go blind for one odd stanza.
    if (package.ok()) found.emplace(cat(package->name, ":", package->architecture), *package);
    return {};
  };
  const auto read = [&](const std::string& path, const TreeNode& node) -> Status {
    if (node.type != EntryType::kFile) return {};
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kStatusLimit));
    StringSource source(text);
    return for_each_stanza(source, path, take);
  };
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    const bool in_folder = path.starts_with(kStatusFolder) && !path.ends_with(".md5sums");
    return path == kStatusFile || in_folder ? read(path, node) : Status();
  }));
  std::vector<Package> packages;
  for (auto& [key, package] : found) packages.push_back(std::move(package));
  return packages;
}

StatusOr<std::map<std::string, std::string>> os_release(const Tree& tree) {
  std::map<std::string, std::string> fields;
  const TreeNode* node = tree.find(tree.resolve("etc/os-release"));
  if (node == nullptr) node = tree.find("usr/lib/os-release");
  if (node == nullptr || node->type != EntryType::kFile) return fields;
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(*node, 1 << 20));
  for (std::string_view line : split(text, '\n')) {
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = trim(line.substr(equals + 1));
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'')) {
      value = value.substr(1, value.size() - 2);
    }
    fields[std::string(trim(line.substr(0, equals)))] = value;
  }
  return fields;
}

}  // namespace tenon::image
