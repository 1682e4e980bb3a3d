#include <algorithm>
#include <set>

#include "tenon/image/build/elf.h"
#include "tenon/image/build/installed.h"
#include "tenon/image/trust/sbom.h"

namespace tenon::image {
namespace {

constexpr uint64_t kSumsLimit = 64 << 20;
constexpr uint64_t kMetadataLimit = 4 << 20;

bool is_wheel_metadata(std::string_view path) { return path.ends_with(".dist-info/METADATA"); }

// Configuration is no program; packages list it as conffiles, not in md5sums.
bool is_program(const std::string& path, const TreeNode& node) {
  return !path.starts_with("etc/") && node.type == EntryType::kFile && (node.mode & 0111) != 0;
}

// The paths that packages say they own, where they now are (after usrmerge).
StatusOr<std::set<std::string>> owned_paths(const Tree& tree) {
  std::set<std::string> owned;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    const bool sums = path.starts_with("var/lib/dpkg/") && path.ends_with(".md5sums");
    if (!sums || node.type != EntryType::kFile) return {};
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kSumsLimit));
    for (std::string_view line : split(text, '\n')) {
      if (line.size() > 34) owned.insert(tree.resolve(line.substr(34)));
    }
    return {};
  }));
  return owned;
}

Status add_wheel_metadata(const TreeNode& node, Inventory& inventory) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kMetadataLimit));
  Inventory::Wheel wheel;
  for (std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) break;
    if (line.starts_with("Name:")) wheel.name = trim(line.substr(5));
    if (line.starts_with("Version:")) wheel.version = trim(line.substr(8));
  }
  if (!wheel.name.empty()) inventory.wheels.push_back(std::move(wheel));
  return {};
}

}  // namespace

StatusOr<Inventory> take_inventory(const ImageReader& reader, const Image& image) {
  const auto wanted = [](const std::string& path, const TreeNode& node) {
    return is_package_metadata(path, node) || path.starts_with("var/lib/dpkg/") ||
           is_wheel_metadata(path);
  };
  TENON_ASSIGN_OR_RETURN(const auto tree, read_file_system(reader, image, wanted, true));
  Inventory inventory;
  inventory.image_digest = image.descriptor.digest;
  const auto name = image.descriptor.annotations.find(std::string(kRefName));
  if (name != image.descriptor.annotations.end()) inventory.image_name = name->second;
  inventory.created = image.config.created.empty() ? rfc3339(0) : image.config.created;
  inventory.architecture = image.config.platform.architecture;
  TENON_ASSIGN_OR_RETURN(auto release, os_release(*tree));
  inventory.distribution_id = release["ID"];
  inventory.distribution_version = release["VERSION_ID"];
  TENON_ASSIGN_OR_RETURN(inventory.packages, installed_packages(*tree));
  TENON_ASSIGN_OR_RETURN(const auto owned, owned_paths(*tree));
  TENON_RETURN_IF_ERROR(
      tree->for_each([&](const std::string& path, const TreeNode& node) -> Status {
        if (is_wheel_metadata(path)) return add_wheel_metadata(node, inventory);
        if (is_program(path, node) && !owned.contains(path)) {
          inventory.unowned_programs.push_back({cat("/", path), node.sha256});
        }
        return {};
      }));
  return inventory;
}

}  // namespace tenon::image
