#include <algorithm>
#include <set>

#include "tenon/image/build/installed.h"
#include "tenon/image/build/links.h"
#include "tenon/image/trust/sbom.h"

namespace tenon::image {
namespace {

constexpr uint64_t kSumsLimit = 64 << 20;
constexpr uint64_t kMetadataLimit = 4 << 20;

bool is_wheel_metadata(std::string_view path) { return path.ends_with(".dist-info/METADATA"); }
bool is_wheel_licence(std::string_view path) {
  return path.find(".dist-info/licenses/") != std::string_view::npos;
}

// Configuration is no program; packages list it as conffiles, not in md5sums.
bool is_program(const std::string& path, const TreeNode& node) {
  return !path.starts_with("etc/") && node.type == EntryType::kFile && (node.mode & 0111) != 0;
}

// Packages by the paths that they say they own, where those now are (after usrmerge).
StatusOr<std::map<std::string, std::string>> owned_paths(const Tree& tree) {
  std::map<std::string, std::string> owned;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    const bool sums = path.starts_with("var/lib/dpkg/") && path.ends_with(".md5sums");
    if (!sums || node.type != EntryType::kFile) return {};
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kSumsLimit));
    std::string name = path.substr(path.rfind('/') + 1);
    name = name.substr(0, name.size() - std::string_view(".md5sums").size());
    name = name.substr(0, name.find(':'));
    for (std::string_view line : split(text, '\n')) {
      if (line.size() > 34) owned.emplace(tree.resolve(line.substr(34)), name);
    }
    return {};
  }));
  return owned;
}

constexpr uint64_t kCopyrightLimit = 1 << 20;

bool is_copyright(std::string_view path) {
  return path.starts_with("usr/share/doc/") && path.ends_with("/copyright");
}

// "Key: value" of control data or metadata; empty when it is not there.
std::string field_of(std::string_view text, std::string_view key) {
  for (std::string_view line : split(text, '\n')) {
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':')) {
      return std::string(trim(line.substr(key.size() + 1)));
    }
  }
  return {};
}

// Facts from control data, by package name.
StatusOr<std::map<std::string, Inventory::Facts>> facts_of_control(const Tree& tree) {
  std::map<std::string, Inventory::Facts> facts;
  const auto read = [&](const std::string& path, const TreeNode& node) -> Status {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kSumsLimit));
    StringSource source(text);
    return for_each_stanza(source, path, [&](const Stanza& stanza) -> Status {
      Inventory::Facts& entry = facts[std::string(stanza.get("Package"))];
      entry.supplier = stanza.get("Maintainer");
      entry.homepage = stanza.get("Homepage");
      return {};
    });
  };
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    const bool control =
        path == "var/lib/dpkg/status" ||
        (path.starts_with("var/lib/dpkg/status.d/") && !path.ends_with(".md5sums"));
    return control && node.type == EntryType::kFile ? read(path, node) : Status();
  }));
  return facts;
}

StatusOr<Licence> licence_of(const Tree& tree, const std::string& package) {
  const std::string path = tree.resolve(cat("usr/share/doc/", package, "/copyright"));
  const TreeNode* node = path.empty() ? nullptr : tree.find(path);
  if (node == nullptr || node->type != EntryType::kFile || node->size > kCopyrightLimit) {
    return Licence();
  }
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(*node, kCopyrightLimit));
  return read_copyright(text, package);
}

Status add_package_facts(const Tree& tree, Inventory& inventory) {
  TENON_ASSIGN_OR_RETURN(auto facts, facts_of_control(tree));
  for (const Package& package : inventory.packages) {
    Inventory::Facts& entry = inventory.facts.emplace_back(facts[package.name]);
    TENON_ASSIGN_OR_RETURN(entry.licence, licence_of(tree, package.name));
  }
  return {};
}

// Digests and places of packages and wheels, which only the lock knows.
Status add_lock_facts(const Image& image, const Lock& lock, Inventory& inventory) {
  const std::string digest = cat("sha256:", sha256_hex(write_lock(lock)));
  const auto named = image.manifest.annotations.find("dev.tenon.image.lock");
  if (named == image.manifest.annotations.end() || named->second != digest) {
    return failed_precondition(
        "the lock is ", digest, ", the image was built from ",
        named == image.manifest.annotations.end() ? "an unnamed one" : named->second);
  }
  std::map<std::string, const LockedPackage*> packages;
  for (const LockedPlatform& platform : lock.platforms) {
    if (!(platform.platform == image.config.platform)) continue;
    for (const LockedPackage& package : platform.packages) {
      packages[cat(package.name, " ", package.version)] = &package;
    }
  }
  for (size_t i = 0; i < inventory.packages.size(); ++i) {
    const Package& package = inventory.packages[i];
    const auto found = packages.find(cat(package.name, " ", package.version));
    if (found == packages.end()) continue;
    inventory.facts[i].sha256 = found->second->sha256;
    inventory.facts[i].download = cat(found->second->archive, "/", found->second->filename);
  }
  for (Inventory::Wheel& wheel : inventory.wheels) {
    for (const auto& [layer, item] : lock.wheels) {
      if (wheel_purl(item.name, item.version) != wheel_purl(wheel.name, wheel.version)) continue;
      wheel.facts.sha256 = item.sha256;
      if (item.url.find("://") != std::string::npos) wheel.facts.download = item.url;
    }
  }
  return {};
}

// The packages that own the libraries that a program links.
std::vector<std::string> linked_packages(const Tree& tree, const TreeNode& program,
                                         const std::map<std::string, std::string>& owners) {
  std::set<std::string> packages;
  const ElfInfo elf = elf_of_node(program);
  for (const std::string& soname : elf.needed) {
    const std::string path =
        tree.resolve(cat("usr/lib/", multiarch_triplet(elf.machine), "/", soname));
    const auto owner = owners.find(path);
    if (owner != owners.end()) packages.insert(owner->second);
  }
  return {packages.begin(), packages.end()};
}

Inventory::Model model_of(const ImageConfig& config) {
  const auto label = [&](const char* key) {
    const auto found = config.labels.find(cat("dev.tenon.model.", key));
    return found == config.labels.end() ? std::string() : found->second;
  };
  return {label("name"), label("version"), label("digest"), label("golden")};
}

// The files that a wheel's metadata, the file `path`, names as its licence, one after another.
StatusOr<std::string> wheel_licence_text(const Tree& tree, const std::string& path,
                                         std::string_view metadata) {
  constexpr std::string_view kField = "License-File:";
  std::string all;
  for (std::string_view line : split(metadata, '\n')) {
    if (trim(line).empty()) break;
    if (!line.starts_with(kField)) continue;
    const std::string folder = path.substr(0, path.rfind('/'));
    const std::string file(trim(line.substr(kField.size())));
    const TreeNode* node = tree.find(cat(folder, "/licenses/", file));
    if (node == nullptr || node->type != EntryType::kFile || node->size > kCopyrightLimit) continue;
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(*node, kCopyrightLimit));
    all += cat(all.empty() ? "" : "\n", text);
  }
  return all;
}

Status add_wheel_metadata(const Tree& tree, const std::string& path, const TreeNode& node,
                          Inventory& inventory) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kMetadataLimit));
  Inventory::Wheel wheel;
  wheel.facts.supplier = field_of(text, "Author-email");
  if (wheel.facts.supplier.empty()) wheel.facts.supplier = field_of(text, "Author");
  wheel.facts.homepage = field_of(text, "Home-page");
  Licence& licence = wheel.facts.licence;
  licence.expression = wheel_licence(text);
  if (licence.expression.starts_with("LicenseRef-") &&
      licence.expression.find(' ') == std::string::npos) {
    TENON_ASSIGN_OR_RETURN(std::string words, wheel_licence_text(tree, path, text));
    if (!words.empty()) licence.texts[licence.expression] = std::move(words);
  }
  for (std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) break;
    if (line.starts_with("Name:")) wheel.name = trim(line.substr(5));
    if (line.starts_with("Version:")) wheel.version = trim(line.substr(8));
  }
  if (!wheel.name.empty()) inventory.wheels.push_back(std::move(wheel));
  return {};
}

}  // namespace

StatusOr<Inventory> take_inventory(const ImageReader& reader, const Image& image,
                                   const Lock* lock) {
  const auto wanted = [](const std::string& path, const TreeNode& node) {
    const bool unpackaged_program = is_program(path, node) && !path.starts_with("usr/lib/");
    return is_package_metadata(path, node) || path.starts_with("var/lib/dpkg/") ||
           is_wheel_metadata(path) || is_wheel_licence(path) || is_copyright(path) ||
           unpackaged_program;
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
        if (is_wheel_metadata(path)) return add_wheel_metadata(*tree, path, node, inventory);
        if (is_program(path, node) && !owned.contains(path)) {
          inventory.unowned_programs.push_back(
              {cat("/", path), node.sha256, linked_packages(*tree, node, owned)});
        }
        return {};
      }));
  TENON_RETURN_IF_ERROR(add_package_facts(*tree, inventory));
  inventory.model = model_of(image.config);
  if (lock != nullptr) TENON_RETURN_IF_ERROR(add_lock_facts(image, *lock, inventory));
  return inventory;
}

}  // namespace tenon::image
