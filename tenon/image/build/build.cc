#include "tenon/image/build/build.h"

#include <algorithm>

#include "tenon/image/build/installed.h"
#include "tenon/image/build/settings.h"
#include "tenon/image/oci/reader.h"

namespace tenon::image {
namespace {

constexpr auto kKeepBaseFile = [](const std::string& path, const TreeNode& node) {
  return is_package_metadata(path, node) || path.find("ld.so.conf") != std::string::npos;
};

// The image that a declaration stands on; null members for debian: bases.
struct BaseImage {
  std::unique_ptr<ImageReader> reader;
  Image image;
  std::unique_ptr<Tree> tree;
};

StatusOr<BaseImage> open_base(const Declaration& declaration, const Lock& lock,
                              const Platform& platform, const Store& store) {
  BaseImage base;
  if (!declaration.base.starts_with("oci:")) return base;
  TENON_RETURN_IF_ERROR(fetch_base(declaration, store, false));
  const std::string path = base_image_path(declaration, store.folder());
  TENON_ASSIGN_OR_RETURN(base.reader, ImageReader::open(path));
  const std::string found = cat("sha256:", sha256_hex(write_index(base.reader->index())));
  if (found != lock.base_digest) {
    return failed_precondition("the base image ", path, " is ", found, ", the lock was made with ",
                               lock.base_digest, "; run `tenon image lock --update`");
  }
  TENON_ASSIGN_OR_RETURN(base.image, find_image(*base.reader, &platform));
  TENON_ASSIGN_OR_RETURN(base.tree, read_file_system(*base.reader, base.image, kKeepBaseFile));
  return base;
}

Status copy_base_layers(const BaseImage& base, BlobFolder& blobs, BuiltImage& built,
                        ImageConfig& config) {
  if (base.reader == nullptr) return {};
  const auto& layers = base.image.manifest.layers;
  if (layers.size() != base.image.config.diff_ids.size()) {
    return invalid_argument("the base image has ", layers.size(), " layers and ",
                            base.image.config.diff_ids.size(), " diff_ids");
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const auto source, base.reader->open_blob(layers[i]));
    TENON_ASSIGN_OR_RETURN(Descriptor copy, blobs.add(layers[i].media_type, [&](ByteSink& sink) {
      return copy_stream(*source, sink).status();
    }));
    built.layers.push_back({cat("base image layer ", i + 1), copy, base.image.config.diff_ids[i]});
  }
  config = base.image.config;
  config.history.clear();
  for (size_t i = 0; i < layers.size(); ++i) config.history.push_back({"base image", ""});
  return {};
}

int64_t default_time(const BuildOptions& options) {
  return options.inputs.fixed_time >= 0 ? options.inputs.fixed_time : kDefaultLayerTime;
}

// A node of another image, its content read from that image's spool.
Status copy_from_image(const CopyFromImage& copy, const Platform& platform, Tree& tree) {
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(copy.image));
  TENON_ASSIGN_OR_RETURN(const Image image, find_image(*reader, &platform));
  TENON_ASSIGN_OR_RETURN(const std::string wanted, normalise_path(copy.source.substr(1)));
  TENON_ASSIGN_OR_RETURN(const std::string target, normalise_path(copy.target.substr(1)));
  TENON_ASSIGN_OR_RETURN(
      const auto files,
      read_file_system(*reader, image, [](const std::string&, const TreeNode&) { return true; }));
  const std::string source = files->resolve(wanted);
  const TreeNode* top = source.empty() ? nullptr : files->find(source);
  if (top == nullptr) return not_found("'", copy.image, "' holds no ", copy.source);
  const std::string prefix = cat(source, "/");
  return files->for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (path != source && !path.starts_with(prefix)) return {};
    std::string place = cat(target, path.substr(source.size()));
    if (place.starts_with('/')) place.erase(0, 1);
    if (place.empty()) return {};
    if (node.type == EntryType::kDirectory && tree.has_folder(place)) return {};
    if (node.type != EntryType::kDirectory && node.type != EntryType::kFile &&
        node.type != EntryType::kSymlink && node.type != EntryType::kHardLink) {
      return invalid_argument("--copy ", copy.source, ": '/", path, "' of ", copy.image,
                              " is a device or fifo");
    }
    TreeNode copied = node;
    if (node.type == EntryType::kHardLink) {
      const TreeNode* file = files->find(node.link);
      if (file == nullptr) return invalid_argument("'", path, "' links to nothing");
      copied = *file;
    }
    copied.origin = cat("--copy from ", copy.image);
    return tree.add(place, std::move(copied), true);
  });
}

Status add_copy_layer(const BuildOptions& options, const Platform& platform,
                      std::vector<LayerTree>& layers, const Tree* below) {
  LayerTree layer;
  layer.name = "copy";
  layer.tree = std::make_unique<Tree>(below);
  for (const CopyFromImage& copy : options.copies) {
    if (!copy.source.starts_with('/') || !copy.target.starts_with('/')) {
      return invalid_argument("--copy '", copy.source, ":", copy.target, "' needs absolute paths");
    }
    TENON_RETURN_IF_ERROR(copy_from_image(copy, platform, *layer.tree));
  }
  layer.mtime = default_time(options);
  layers.push_back(std::move(layer));
  return {};
}

StatusOr<BuiltImage> build_platform(const Declaration& declaration, const Lock& lock,
                                    const Platform& platform, const Store& store,
                                    const BuildOptions& options, const ModelSource* model,
                                    BlobFolder& blobs) {
  BuiltImage built;
  built.platform = platform;
  ImageConfig config;
  TENON_ASSIGN_OR_RETURN(const BaseImage base, open_base(declaration, lock, platform, store));
  TENON_RETURN_IF_ERROR(copy_base_layers(base, blobs, built, config));
  TENON_ASSIGN_OR_RETURN(auto layers, build_layer_trees(declaration, lock, platform, store,
                                                        options.inputs, base.tree.get()));
  const auto top = [&] { return layers.empty() ? base.tree.get() : layers.back().tree.get(); };
  if (!options.copies.empty()) {
    TENON_RETURN_IF_ERROR(add_copy_layer(options, platform, layers, top()));
  }
  // What a model holds is loaded by nobody.
  if (base.tree == nullptr)
    TENON_RETURN_IF_ERROR(finish_layers(declaration, options.inputs.threads, layers));
  if (model != nullptr) {
    TENON_ASSIGN_OR_RETURN(LayerTree layer, model_layer(*model, default_time(options), top()));
    layers.push_back(std::move(layer));
  }

  const std::string& packed =
      options.compression.empty() ? declaration.compression : options.compression;
  const Compression compression = packed == "zstd" ? Compression::kZstd : Compression::kGzip;
  for (const LayerTree& layer : layers) {
    BuiltLayer& out = built.layers.emplace_back();
    out.name = layer.name;
    TENON_ASSIGN_OR_RETURN(
        out.descriptor,
        add_layer(
            blobs, compression, options.inputs.threads,
            [&](ByteSink& sink) { return write_layer_tar(*layer.tree, layer.mtime, sink); },
            out.diff_id));
    config.history.push_back({"tenon image build", cat("layer ", layer.name)});
  }
  ModelFacts facts;
  if (model != nullptr) {
    const BuiltLayer& layer = built.layers.back();
    facts = {model, layer.diff_id, bool(options.verify_model)};
    if (options.verify_model) {
      TENON_RETURN_IF_ERROR(replay_goldens(*model, layer.descriptor, blobs, options.verify_model));
    }
  }
  const int64_t created = options.inputs.fixed_time >= 0 ? options.inputs.fixed_time
                          : lock.created > 0             ? lock.created
                                                         : kDefaultLayerTime;
  config.created = rfc3339(created);
  config.platform = platform;
  apply_settings(declaration, options, facts, config);
  if (top() != nullptr) TENON_RETURN_IF_ERROR(check_config(config, *top()));
  config.diff_ids.clear();
  Manifest manifest;
  for (const BuiltLayer& layer : built.layers) {
    config.diff_ids.push_back(layer.diff_id);
    manifest.layers.push_back(layer.descriptor);
  }
  TENON_ASSIGN_OR_RETURN(manifest.config, blobs.add_text(kConfigType, write_config(config)));
  manifest.annotations = declaration.annotations;
  manifest.annotations["org.opencontainers.image.created"] = config.created;
  manifest.annotations["org.opencontainers.image.version"] = declaration.version;
  if (model != nullptr) manifest.annotations["org.opencontainers.image.title"] = model->name;
  manifest.annotations["org.opencontainers.image.base.name"] = declaration.base;
  manifest.annotations["dev.tenon.image.lock"] = cat("sha256:", sha256_hex(write_lock(lock)));
  TENON_ASSIGN_OR_RETURN(built.manifest, blobs.add_text(kManifestType, write_manifest(manifest)));
  return built;
}

void add_names(BuildResult& result) {
  for (const std::string& name : result.tags) {
    Descriptor descriptor = result.top;
    descriptor.annotations[std::string(kRefName)] = name;
    descriptor.annotations["io.containerd.image.name"] = name;
    result.output.index.manifests.push_back(std::move(descriptor));
  }
}

}  // namespace

StatusOr<BuildResult> build_image(const Declaration& declaration, const Lock& lock,
                                  const Store& store, const BuildOptions& options,
                                  BlobFolder& blobs) {
  if (lock.declaration != declaration.text) {
    return failed_precondition("the lock was made from another declaration than '",
                               declaration.name, "'; run `tenon image lock` again");
  }
  std::optional<ModelSource> source;
  if (!options.model_path.empty()) {
    TENON_ASSIGN_OR_RETURN(source, find_model(options.model_path, options.model_name));
  }
  const ModelSource* model = source.has_value() ? &*source : nullptr;
  BuildResult result;
  TENON_RETURN_IF_ERROR(choose_names(declaration, options, model, result));
  for (const LockedPlatform& locked : lock.platforms) {
    const auto& wanted = options.platforms;
    if (!wanted.empty() &&
        std::find(wanted.begin(), wanted.end(), locked.platform) == wanted.end()) {
      continue;
    }
    TENON_ASSIGN_OR_RETURN(BuiltImage built, build_platform(declaration, lock, locked.platform,
                                                            store, options, model, blobs));
    built.manifest.platform = locked.platform;
    result.images.push_back(std::move(built));
  }
  if (result.images.empty())
    return invalid_argument("the lock has none of the platforms asked for");
  const BuiltImage& first = result.images[0];
  result.top = first.manifest;
  if (result.images.size() > 1) {
    Index index;
    for (const BuiltImage& image : result.images) index.manifests.push_back(image.manifest);
    TENON_ASSIGN_OR_RETURN(result.top, blobs.add_text(kIndexType, write_index(index)));
  }
  add_names(result);

  TENON_ASSIGN_OR_RETURN(const std::string text,
                         read_file(blobs.path_of(first.manifest.digest.substr(7)), 64 << 20));
  TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, "the manifest just made"));
  result.output.docker_config = manifest.config.digest.substr(7);
  for (const Descriptor& layer : manifest.layers) {
    result.output.docker_layers.push_back(layer.digest.substr(7));
  }
  result.output.docker_tags = result.tags;
  return result;
}

}  // namespace tenon::image
