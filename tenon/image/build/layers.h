// The layers of one platform's image as trees, from a declaration, its lock and the host files that
// it names.
#pragma once

#include "tenon/image/build/packages_tree.h"
#include "tenon/image/declaration.h"

namespace tenon::image {

struct LayerInputs {
  ProgramPaths programs;     // for "@tenon"
  std::string sdk_path;      // headers and CMake package, for "@tenon-sdk/..."
  std::string python_path;   // the Python package and what images add, for "@tenon-python/..."
  std::string plugins_path;  // compiled plug-ins, for "@tenon-plugins/..."
  int threads = 2;
  int64_t fixed_time = -1;     // SOURCE_DATE_EPOCH; -1: each layer takes its newest package's time
  bool allow_outside = false;  // sources may stand outside the declaration's folder
};

// One layer: a tree over the one before.
struct LayerTree {
  std::string name;
  std::unique_ptr<Tree> tree;
  int64_t mtime = 0;
};

// Time of a layer without packages when nothing fixes it: 1980-01-01, the first that zip knows.
inline constexpr int64_t kDefaultLayerTime = 315532800;

// `below` is the topmost tree of a base image, or null for debian: bases, whose base layer gets the
// usrmerge links, accounts, CA bundle, loader cache and what else makes a bare set of packages a
// system. Layers without content are left out.
StatusOr<std::vector<LayerTree>> build_layer_trees(const Declaration& declaration, const Lock& lock,
                                                   const Platform& platform, const Store& store,
                                                   const LayerInputs& inputs, const Tree* below);

// Once every layer of the image is there, also those that no declaration names: leaves out the
// libraries of packages that nothing can load, and the part of ICU's data that nothing reads, and
// compiles Python files, where the declaration says so, and makes sure that all programs from
// outside the packages find what they link. For debian: bases.
Status finish_layers(const Declaration& declaration, int threads, std::vector<LayerTree>& layers);

// What becomes of symbolic links in a host folder.
enum class HostLinks { kKeep, kFollow };

// The host folder or file at `source` as `path` of the tree. Modes become 0755 or 0644 by the
// owner's execute bit unless `mode` is given; a folder that the image has already keeps its mode
// and owner. Devices, fifos and links that are followed to nothing are errors.
Status add_host_files(const std::string& source, std::string_view path, const FileItem& item,
                      Tree& tree, HostLinks links = HostLinks::kKeep);

// Accounts, CA bundle, loader cache, os-release check and folders of a debian: base.
Status add_system_files(const Declaration& declaration, std::string_view debian_architecture,
                        Tree& tree);

// Writes etc/ld.so.cache of what the tree holds; nothing when there are no libraries.
Status add_loader_cache(Tree& tree);

// Every trusted certificate of ca-certificates in one file, in path order, where the tree has any.
Status add_ca_bundle(Tree& tree);

}  // namespace tenon::image
