// The layers of one platform's image as trees, from a declaration, its lock and the host files that
// it names.
#pragma once

#include "tenon/image/build/packages_tree.h"
#include "tenon/image/declaration.h"

namespace tenon::image {

struct LayerInputs {
  ProgramPaths programs;  // for "@tenon"
  std::string sdk_path;   // headers and CMake package, for "@tenon-sdk/..."
  int threads = 2;
  int64_t fixed_time = -1;  // SOURCE_DATE_EPOCH; -1: each layer takes its newest package's time
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

// The host folder or file at `source` as `path` of the tree. Modes become 0755 or 0644 by the
// owner's execute bit unless `mode` is given. Links are kept; devices are an error.
Status add_host_files(const std::string& source, std::string_view path, const FileItem& item,
                      Tree& tree);

// Accounts, CA bundle, loader cache, os-release check and folders of a debian: base.
Status add_system_files(const Declaration& declaration, std::string_view debian_architecture,
                        Tree& tree);

// Every trusted certificate of ca-certificates in one file, in path order, where the tree has any.
Status add_ca_bundle(Tree& tree);

// A wheel's files under usr/lib/python3/dist-packages, its scripts and entry points under
// usr/bin.
Status add_wheel(const WheelItem& wheel, const Store& store, Tree& tree);

}  // namespace tenon::image
