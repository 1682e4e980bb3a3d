#include "tenon/image/build/layers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tenon/image/build/byte_compile.h"
#include "tenon/image/build/elf_edit.h"
#include "tenon/image/build/icu_data.h"
#include "tenon/image/build/links.h"
#include "tenon/image/build/wheel.h"

namespace tenon::image {
namespace {

constexpr size_t kMostFolders = 64;
constexpr size_t kMostHostEntries = 1'000'000;

StatusOr<std::string> target_of_link(const std::string& source) {
  std::string target(4096, '\0');
  const ssize_t size = ::readlink(source.c_str(), target.data(), target.size());
  if (size < 0) return errno_status(errno, "reading the link", source);
  target.resize(static_cast<size_t>(size));
  return target;
}

Status add_host_file(const std::string& source, const std::string& path, const FileItem& item,
                     const struct stat& info, TreeNode node, Tree& tree) {
  node.mode = item.mode.value_or((info.st_mode & 0100) != 0 ? 0755 : 0644);
  node.size = static_cast<uint64_t>(info.st_size);
  node.host_path = source;
  if (item.strip) {
    TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(source));
    node.text = loaded_part(std::move(bytes));
    node.size = node.text.size();
    node.host_path.clear();
  }
  return tree.add(path, std::move(node), true);
}

// Copies one host tree. Followed links may lead to a folder above or many times to one folder: the
// first is refused, the second bounded.
class HostCopy {
 public:
  HostCopy(const FileItem& item, HostLinks links, Tree& tree)
      : item_(item), links_(links), tree_(tree) {}

  Status add(const std::string& source, const std::string& path) {
    if (++entries_ > kMostHostEntries) return invalid_argument("'", source, "': too many files");
    struct stat info;
    const int failed = links_ == HostLinks::kFollow ? ::stat(source.c_str(), &info)
                                                    : ::lstat(source.c_str(), &info);
    if (failed != 0) return errno_status(errno, "reading", source);
    TreeNode node;
    node.origin = cat("file ", source);
    node.uid = item_.uid;
    node.gid = item_.gid;
    if (S_ISLNK(info.st_mode)) {
      TENON_ASSIGN_OR_RETURN(node.link, target_of_link(source));
      node.type = EntryType::kSymlink;
      node.mode = 0777;
      return tree_.add(path, std::move(node), true);
    }
    if (S_ISREG(info.st_mode)) {
      return add_host_file(source, path, item_, info, std::move(node), tree_);
    }
    if (S_ISDIR(info.st_mode)) return add_folder(source, path, info, std::move(node));
    return invalid_argument("'", source, "' is neither file, folder nor link");
  }

 private:
  Status add_folder(const std::string& source, const std::string& path, const struct stat& info,
                    TreeNode node) {
    const std::pair<dev_t, ino_t> self(info.st_dev, info.st_ino);
    if (std::find(above_.begin(), above_.end(), self) != above_.end()) {
      return invalid_argument("'", source, "' leads to a folder that it stands in");
    }
    if (above_.size() > kMostFolders) return invalid_argument("'", source, "' is nested too deep");
    node.type = EntryType::kDirectory;
    node.mode = 0755;
    if (!tree_.has_folder(path)) TENON_RETURN_IF_ERROR(tree_.add(path, std::move(node), true));
    TENON_ASSIGN_OR_RETURN(const auto names, list_directory(source));
    above_.push_back(self);
    for (const std::string& name : names) {
      TENON_RETURN_IF_ERROR(add(join_path(source, name), cat(path, "/", name)));
    }
    above_.pop_back();
    return {};
  }

  const FileItem& item_;
  HostLinks links_;
  Tree& tree_;
  size_t entries_ = 0;
  std::vector<std::pair<dev_t, ino_t>> above_;
};

StatusOr<std::string> real_path(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return errno_status(errno, "reading", path);
  std::string resolved = real;
  ::free(real);
  return resolved;
}

// `source` of a declaration, links followed, must be `folder` or below it.
Status check_inside(const std::string& source, const std::string& folder, const FileItem& item) {
  TENON_ASSIGN_OR_RETURN(const std::string real, real_path(source));
  TENON_ASSIGN_OR_RETURN(const std::string root, real_path(folder.empty() ? "." : folder));
  if (root.size() == 1 || real == root || real.starts_with(cat(root, "/"))) return {};
  return invalid_argument("files entry ", item.path, ": '", item.source, "' is ", real,
                          ", outside ", root, "; --allow_outside admits it");
}

StatusOr<std::string> host_source(const FileItem& item, const Declaration& declaration,
                                  const Platform& platform, const LayerInputs& inputs) {
  if (item.source == "@tenon") {
    const std::string& program = inputs.programs.of(platform);
    if (program.empty()) return failed_precondition("no path of the program is known");
    TENON_RETURN_IF_ERROR(check_program(program, platform));
    return program;
  }
  const struct {
    std::string_view name, flag;
    const std::string& path;
  } kInstalled[] = {{"@tenon-sdk", "--sdk", inputs.sdk_path},
                    {"@tenon-python", "--python", inputs.python_path},
                    {"@tenon-plugins", "--plugins", inputs.plugins_path}};
  for (const auto& [name, flag, path] : kInstalled) {
    if (!item.source.starts_with(name)) continue;
    if (path.empty()) {
      return failed_precondition("'", item.path, "' comes from Tenon's build: pass ", flag,
                                 " FOLDER");
    }
    const std::string source = cat(path, item.source.substr(name.size()));
    TENON_RETURN_IF_ERROR(check_inside(source, path, item));
    return source;
  }
  const std::string source = join_path(declaration.folder, item.source);
  if (!inputs.allow_outside) {
    TENON_RETURN_IF_ERROR(check_inside(source, declaration.folder, item));
  }
  return source;
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
                      Tree& tree, HostLinks links) {
  // The source itself may be a link (/proc/self/exe).
  TENON_ASSIGN_OR_RETURN(const std::string resolved, real_path(source));
  return HostCopy(item, links, tree).add(resolved, std::string(path));
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
      if (name != spec.name) continue;
      TENON_RETURN_IF_ERROR(add_wheel(wheel, store, declaration.exclude, *layer.tree));
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
  return layers;
}

Status finish_layers(const Declaration& declaration, int threads, std::vector<LayerTree>& layers) {
  if (layers.empty()) return {};
  const Tree& top = *layers.back().tree;
  if (declaration.prune_libraries) {
    TENON_ASSIGN_OR_RETURN(const auto unloadable,
                           unloadable_libraries(top, declaration.loaded_libraries));
    for (const LayerTree& layer : layers) {
      for (const std::string& path : unloadable) layer.tree->remove(path);
    }
    for (const LayerTree& layer : layers) {
      if (layer.tree->nodes().contains("etc/ld.so.cache")) {
        TENON_RETURN_IF_ERROR(add_loader_cache(*layer.tree));
      }
    }
  }
  if (!declaration.icu_data.empty()) {
    for (const LayerTree& layer : layers) {
      TENON_RETURN_IF_ERROR(select_icu_data(declaration.icu_data, *layer.tree));
    }
  }
  if (declaration.byte_compile) TENON_RETURN_IF_ERROR(byte_compile(threads, layers));
  return check_linked_libraries(top, [&](const std::string& path) {
    const TreeNode* node = top.find(path);
    return node != nullptr && !node->origin.starts_with("package ");
  });
}

}  // namespace tenon::image
