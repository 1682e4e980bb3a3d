#include "tenon/image/build/layers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tenon/image/build/ld_cache.h"

namespace tenon::image {
namespace {

constexpr int kMostFolders = 64;

Status add_host_entry(const std::string& source, const std::string& path, const FileItem& item,
                      int depth, Tree& tree) {
  if (depth > kMostFolders) return invalid_argument("'", source, "' is nested too deep");
  struct stat info;
  if (::lstat(source.c_str(), &info) != 0) return errno_status(errno, "reading", source);
  TreeNode node;
  node.origin = cat("file ", source);
  node.uid = item.uid;
  node.gid = item.gid;
  if (S_ISLNK(info.st_mode)) {
    std::string target(4096, '\0');
    const ssize_t size = ::readlink(source.c_str(), target.data(), target.size());
    if (size < 0) return errno_status(errno, "reading the link", source);
    target.resize(static_cast<size_t>(size));
    node.type = EntryType::kSymlink;
    node.mode = 0777;
    node.link = std::move(target);
    return tree.add(path, std::move(node), true);
  }
  const bool executable = (info.st_mode & 0100) != 0;
  if (S_ISREG(info.st_mode)) {
    node.mode = item.mode.value_or(executable ? 0755 : 0644);
    node.size = static_cast<uint64_t>(info.st_size);
    node.host_path = source;
    return tree.add(path, std::move(node), true);
  }
  if (!S_ISDIR(info.st_mode)) {
    return invalid_argument("'", source, "' is neither file, folder nor link");
  }
  node.type = EntryType::kDirectory;
  node.mode = 0755;
  TENON_RETURN_IF_ERROR(tree.add(path, std::move(node), true));
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(source));
  for (const std::string& name : names) {
    TENON_RETURN_IF_ERROR(
        add_host_entry(join_path(source, name), cat(path, "/", name), item, depth + 1, tree));
  }
  return {};
}

StatusOr<std::string> host_source(const FileItem& item, const Declaration& declaration,
                                  const Platform& platform, const LayerInputs& inputs) {
  constexpr std::string_view kSdk = "@tenon-sdk";
  if (item.source == "@tenon") {
    const std::string& program = inputs.programs.of(platform);
    if (program.empty()) return failed_precondition("no path of the program is known");
    TENON_RETURN_IF_ERROR(check_program(program, platform));
    return program;
  }
  if (item.source.starts_with(kSdk)) {
    if (inputs.sdk_path.empty()) {
      return failed_precondition("'", item.path, "' comes from Tenon's headers: pass --sdk FOLDER");
    }
    return cat(inputs.sdk_path, item.source.substr(kSdk.size()));
  }
  return join_path(declaration.folder, item.source);
}

Status add_file_item(const FileItem& item, const Declaration& declaration, const Platform& platform,
                     const LayerInputs& inputs, Tree& tree) {
  const std::string path = item.path.substr(1);
  TreeNode node;
  node.uid = item.uid;
  node.gid = item.gid;
  node.origin = cat("files entry ", item.path);
  if (item.directory) {
    node.type = EntryType::kDirectory;
    node.mode = item.mode.value_or(0755);
    return tree.add(path, std::move(node), true);
  }
  if (!item.link.empty()) {
    node.type = EntryType::kSymlink;
    node.mode = 0777;
    node.link = item.link;
    return tree.add(path, std::move(node), true);
  }
  if (item.content.has_value()) {
    node.mode = item.mode.value_or(0644);
    node.text = *item.content;
    node.size = node.text.size();
    return tree.add(path, std::move(node), true);
  }
  TENON_ASSIGN_OR_RETURN(const std::string source,
                         host_source(item, declaration, platform, inputs));
  return add_host_files(source, path, item, tree);
}

std::vector<LockedPackage> packages_of_layer(const Lock& lock, const Platform& platform,
                                             const std::string& layer) {
  std::vector<LockedPackage> packages;
  for (const LockedPlatform& entry : lock.platforms) {
    if (!(entry.platform == platform)) continue;
    for (const LockedPackage& package : entry.packages) {
      if (package.layer == layer) packages.push_back(package);
    }
  }
  // base-files first: its folders' modes hold.
  std::stable_partition(packages.begin(), packages.end(),
                        [](const LockedPackage& package) { return package.name == "base-files"; });
  return packages;
}

bool brings_certificates(const Tree& layer) {
  constexpr std::string_view kFolder = "usr/share/ca-certificates/";
  const auto first = layer.nodes().lower_bound(std::string(kFolder));
  return first != layer.nodes().end() && first->first.starts_with(kFolder);
}

}  // namespace

Status add_host_files(const std::string& source, std::string_view path, const FileItem& item,
                      Tree& tree) {
  struct stat info;
  // The source itself may be a link (/proc/self/exe); what stands in a folder stays one.
  if (::stat(source.c_str(), &info) != 0) return errno_status(errno, "reading", source);
  if (S_ISDIR(info.st_mode)) return add_host_entry(source, std::string(path), item, 0, tree);
  char* real = ::realpath(source.c_str(), nullptr);
  if (real == nullptr) return errno_status(errno, "reading", source);
  const std::string resolved = real;
  ::free(real);
  return add_host_entry(resolved, std::string(path), item, 0, tree);
}

StatusOr<std::vector<LayerTree>> build_layer_trees(const Declaration& declaration, const Lock& lock,
                                                   const Platform& platform, const Store& store,
                                                   const LayerInputs& inputs, const Tree* below) {
  TENON_ASSIGN_OR_RETURN(const std::string architecture, debian_architecture(platform));
  const bool from_packages = below == nullptr;
  std::vector<LayerTree> layers;
  std::string dpkg_status;
  if (below != nullptr) {
    if (const TreeNode* node = below->find("var/lib/dpkg/status"); node != nullptr) {
      TENON_ASSIGN_OR_RETURN(dpkg_status, read_text(*node, uint64_t{64} << 20));
      if (!dpkg_status.empty() && !dpkg_status.ends_with("\n\n")) dpkg_status += '\n';
    }
  }
  for (const LayerSpec& spec : declaration.layers) {
    LayerTree layer;
    layer.name = spec.name;
    layer.tree = std::make_unique<Tree>(below);
    const bool is_base = spec.name == "base" && from_packages;
    if (is_base) TENON_RETURN_IF_ERROR(layer.tree->add_usrmerge_links(architecture));
    UnpackOptions unpack;
    unpack.exclude = declaration.exclude;
    unpack.threads = inputs.threads;
    TENON_ASSIGN_OR_RETURN(const int64_t newest,
                           add_packages(packages_of_layer(lock, platform, spec.name), store, unpack,
                                        *layer.tree, dpkg_status));
    for (const auto& [name, wheel] : lock.wheels) {
      if (name == spec.name) TENON_RETURN_IF_ERROR(add_wheel(wheel, store, *layer.tree));
    }
    if (is_base) {
      TENON_RETURN_IF_ERROR(add_system_files(declaration, architecture, *layer.tree));
    } else if (brings_certificates(*layer.tree)) {
      TENON_RETURN_IF_ERROR(add_ca_bundle(*layer.tree));
    }
    for (const FileItem& item : spec.files) {
      TENON_RETURN_IF_ERROR(add_file_item(item, declaration, platform, inputs, *layer.tree));
    }
    if (layer.tree->nodes().empty()) continue;
    layer.mtime = inputs.fixed_time >= 0 ? inputs.fixed_time
                  : newest > 0           ? newest
                                         : kDefaultLayerTime;
    below = layer.tree.get();
    layers.push_back(std::move(layer));
  }
  if (!layers.empty() && from_packages) {
    const auto owned_by_package = [&](const std::string& path) {
      const TreeNode* node = below->find(path);
      return node != nullptr && node->origin.starts_with("package ");
    };
    TENON_RETURN_IF_ERROR(check_linked_libraries(
        *below, [&](const std::string& path) { return !owned_by_package(path); }));
  }
  return layers;
}

}  // namespace tenon::image
