#include "tenon/image/build/explain.h"

#include <algorithm>

#include "tenon/image/archive/compression.h"
#include "tenon/image/build/installed.h"
#include "tenon/image/build/wheel.h"
#include "tenon/image/yaml.h"

namespace tenon::image {
namespace {

constexpr uint64_t kListLimit = 64 << 20;
constexpr std::string_view kControlFolder = "var/lib/dpkg/status.d/";
constexpr std::string_view kInfoFolder = "var/lib/dpkg/info/";
constexpr std::string_view kSums = ".md5sums";

constexpr std::string_view kWheel = "wheel ";

// Packages and wheels by the paths that they say they own.
StatusOr<std::map<std::string, std::string>> owners_of(const Tree& tree) {
  TENON_ASSIGN_OR_RETURN(auto owners, wheel_owners(tree));
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (node.type != EntryType::kFile || !path.ends_with(kSums)) return {};
    std::string_view name = path;
    if (name.starts_with(kControlFolder)) {
      name.remove_prefix(kControlFolder.size());
    } else if (name.starts_with(kInfoFolder)) {
      name.remove_prefix(kInfoFolder.size());
    } else {
      return {};
    }
    name.remove_suffix(kSums.size());
    name = name.substr(0, name.find(':'));
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kListLimit));
    for (std::string_view line : split(text, '\n')) {
      if (line.size() > 34) owners.emplace(tree.resolve(line.substr(34), false), name);
    }
    owners.emplace(path, name);
    owners.emplace(cat(kControlFolder, name), name);
    return {};
  }));
  return owners;
}

// A compiled Python file belongs to who has its source.
const std::string* owner_of(const std::map<std::string, std::string>& owners,
                            const std::string& path) {
  constexpr std::string_view kCache = "/__pycache__/";
  auto owner = owners.find(path);
  if (const size_t cache = path.find(kCache); owner == owners.end() && cache != path.npos) {
    const std::string name = path.substr(cache + kCache.size());
    owner = owners.find(cat(path.substr(0, cache), "/", name.substr(0, name.find('.')), ".py"));
  }
  return owner == owners.end() ? nullptr : &owner->second;
}

std::string kind_of(const TreeNode& node) {
  std::string mode;
  for (int shift = 9; shift >= 0; shift -= 3)
    mode += static_cast<char>('0' + (node.mode >> shift & 7));
  const std::string rest = cat(", mode ", mode, ", owner ", node.uid, ":", node.gid);
  switch (node.type) {
    case EntryType::kDirectory:
      return cat("a folder", rest);
    case EntryType::kSymlink:
      return cat("a link to ", node.link);
    case EntryType::kHardLink:
      return cat("a hard link to /", node.link);
    case EntryType::kFile:
      return cat("a file of ", node.size, " bytes", rest);
    default:
      return cat("a device", rest);
  }
}

// The entry of a `files` list that gives `path` (absolute): itself, or a folder above it.
const YamlNode* files_entry(const YamlNode& files, const std::string& path) {
  const YamlNode* best = nullptr;
  size_t length = 0;
  for (const YamlNode& item : files.items) {
    const YamlNode* place = item.find("path");
    if (place == nullptr) continue;
    const std::string& folder = place->scalar;
    const bool gives = path == folder || path.starts_with(cat(folder, "/"));
    if (gives && folder.size() >= length) {
      best = place;
      length = folder.size();
    }
  }
  return best;
}

const YamlNode* package_entry(const YamlNode& packages, const std::string& name) {
  for (const YamlNode& item : packages.items) {
    if (item.scalar.substr(0, item.scalar.find('=')) == name) return &item;
  }
  return nullptr;
}

const YamlNode* wheel_entry(const YamlNode& wheels, std::string_view owner) {
  const std::string_view wanted = owner.substr(kWheel.size(), owner.rfind(' ') - kWheel.size());
  for (const YamlNode& item : wheels.items) {
    const YamlNode* name = item.find("name");
    if (name != nullptr && normal_wheel_name(name->scalar) == normal_wheel_name(wanted)) {
      return name;
    }
  }
  return nullptr;
}

// The line of a declaration that a file or a package owes its presence to.
std::string declared_by(const Lock& lock, const std::string& path, const std::string& package) {
  const auto root = parse_yaml(lock.declaration, "the lock's declaration");
  if (!root.ok()) return {};
  std::vector<const YamlNode*> layers = {&*root};
  if (const YamlNode* further = root->find("layers"); further != nullptr) {
    for (const YamlNode& layer : further->items) layers.push_back(&layer);
  }
  for (const YamlNode* layer : layers) {
    const YamlNode* files = layer->find("files");
    const YamlNode* packages = layer->find("packages");
    const YamlNode* wheels = layer->find("wheels");
    if (package.starts_with(kWheel)) {
      const YamlNode* entry = wheels == nullptr ? nullptr : wheel_entry(*wheels, package);
      if (entry != nullptr) return cat("line ", entry->line, ": the wheel ", entry->scalar);
      continue;
    }
    if (package.empty() && files != nullptr) {
      if (const YamlNode* entry = files_entry(*files, path); entry != nullptr) {
        return cat("line ", entry->line, ": the files entry ", entry->scalar);
      }
    }
    if (!package.empty() && packages != nullptr) {
      if (const YamlNode* entry = package_entry(*packages, package); entry != nullptr) {
        return cat("line ", entry->line, ": the package ", entry->scalar);
      }
    }
  }
  if (package.empty() || package.starts_with(kWheel)) return {};
  const YamlNode* libraries = root->find("tenon_libraries");
  if (libraries != nullptr && libraries->scalar == "true") {
    return cat("line ", libraries->line, ": tenon_libraries, or a dependency of a package");
  }
  return "a dependency of a declared package";
}

class SizeSink final : public ByteSink {
 public:
  Status write(std::string_view bytes) override {
    size += bytes.size();
    return {};
  }
  uint64_t size = 0;
};

// Files that no package owns, by what they are.
std::string owner_without_package(const std::string& path) {
  if (path.starts_with("var/lib/dpkg/")) return "(package lists)";
  if (path.starts_with("models/")) return "(model)";
  if (path.starts_with("etc/") || path.starts_with("var/")) return "(system files)";
  return "(files of the declaration)";
}

}  // namespace

StatusOr<FileOrigin> explain_file(const ImageReader& reader, const Image& image,
                                  const std::string& path, const Lock* lock) {
  if (!path.starts_with('/')) return invalid_argument("'", path, "' is not absolute");
  TENON_ASSIGN_OR_RETURN(
      const auto tree,
      read_file_system(reader, image, [](const std::string& name, const TreeNode& node) {
        return is_package_metadata(name, node) || name.ends_with(kSums) ||
               name.ends_with(".dist-info/RECORD");
      }));
  FileOrigin origin;
  const std::string place = tree->resolve(std::string_view(path).substr(1), false);
  const TreeNode* node = place.empty() ? nullptr : tree->find(place);
  if (node == nullptr) return not_found("'", reader.path(), "' holds no ", path);
  origin.path = cat("/", place);
  origin.kind = kind_of(*node);
  origin.digest = node->origin;
  const auto& layers = image.manifest.layers;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].digest == node->origin) origin.layer = i + 1;
  }
  if (origin.layer > 0 && origin.layer <= image.config.history.size()) {
    origin.comment = image.config.history[origin.layer - 1].comment;
  }
  TENON_ASSIGN_OR_RETURN(const auto owners, owners_of(*tree));
  std::string package;
  if (const std::string* owner = owner_of(owners, place); owner != nullptr) {
    package = origin.package = *owner;
    TENON_ASSIGN_OR_RETURN(const auto installed, installed_packages(*tree));
    for (const Package& entry : installed) {
      if (entry.name == *owner) origin.package = cat(entry.name, " ", entry.version);
    }
  }
  if (lock != nullptr) origin.declared = declared_by(*lock, origin.path, package);
  return origin;
}

StatusOr<std::vector<OwnerSize>> sizes_by_owner(const ImageReader& reader, const Image& image) {
  TENON_ASSIGN_OR_RETURN(
      const auto tree,
      read_file_system(reader, image, [](const std::string&, const TreeNode&) { return true; }));
  TENON_ASSIGN_OR_RETURN(const auto owners, owners_of(*tree));
  std::map<std::string, std::vector<const TreeNode*>> files;
  TENON_RETURN_IF_ERROR(
      tree->for_each([&](const std::string& path, const TreeNode& node) -> Status {
        if (node.type != EntryType::kFile) return {};
        const std::string* owner = owner_of(owners, path);
        files[owner == nullptr ? owner_without_package(path) : *owner].push_back(&node);
        return {};
      }));
  std::vector<OwnerSize> sizes;
  for (const auto& [owner, nodes] : files) {
    SizeSink counter;
    const auto compressor = make_compressor(Compression::kGzip, counter, 2);
    OwnerSize size{owner, 0, 0};
    for (const TreeNode* node : nodes) {
      size.bytes += node->size;
      TENON_RETURN_IF_ERROR(copy_content(*node, *compressor));
    }
    TENON_RETURN_IF_ERROR(compressor->finish());
    size.compressed = counter.size;
    sizes.push_back(std::move(size));
  }
  std::stable_sort(sizes.begin(), sizes.end(), [](const OwnerSize& a, const OwnerSize& b) {
    return a.compressed > b.compressed;
  });
  return sizes;
}

}  // namespace tenon::image
