#include "tenon/image/build/model.h"

#include <algorithm>

namespace tenon::image {
namespace {

// Writes the folders and files of a layer of ours below `folder`.
Status unpack_layer(const Descriptor& layer, const BlobFolder& blobs, const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const auto file,
                         RandomAccessFile::open(blobs.path_of(layer.digest.substr(7))));
  FileSource packed(*file);
  TENON_ASSIGN_OR_RETURN(const auto plain, open_compressed(packed, layer.digest));
  TarReader tar(*plain, cat("layer ", layer.digest));
  TarEntry entry;
  std::string window(256 << 10, '\0');
  while (true) {
    TENON_ASSIGN_OR_RETURN(const bool more, tar.next(entry));
    if (!more) return {};
    const std::string place = join_path(folder, entry.path);
    if (entry.type == EntryType::kDirectory) {
      TENON_RETURN_IF_ERROR(create_directories(place));
      continue;
    }
    if (entry.type != EntryType::kFile) {
      return data_loss("layer ", layer.digest, ": '", entry.path, "' is neither file nor folder");
    }
    TENON_ASSIGN_OR_RETURN(const auto out, AtomicFile::create(place));
    while (true) {
      TENON_ASSIGN_OR_RETURN(const size_t got, tar.read(window));
      if (got == 0) break;
      TENON_RETURN_IF_ERROR(out->append(std::string_view(window.data(), got)));
    }
    TENON_RETURN_IF_ERROR(out->commit());
  }
}

std::string place_of_version(const ModelSource& model, const std::string& version) {
  return cat("models/", model.name, "/", version.empty() ? "1" : version);
}

}  // namespace

StatusOr<ModelSource> find_model(const std::string& path, const std::string& name) {
  ModelSource model{path, name, {}};
  while (model.path.size() > 1 && model.path.ends_with('/')) model.path.pop_back();
  if (name.empty()) model.name = model.path.substr(model.path.rfind('/') + 1);
  const bool plain = std::all_of(model.name.begin(), model.name.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/';
  });
  if (!plain || model.name.empty() || model.name[0] == '.') {
    return invalid_argument("'", model.name, "' is no model name; pass --model_name");
  }
  if (path_exists(join_path(model.path, "saved_model.pb"))) {
    model.versions.emplace_back();
    return model;
  }
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(model.path));
  std::vector<std::pair<int64_t, std::string>> versions;
  for (const std::string& entry : names) {
    int64_t number = 0;
    if (parse_number(entry, number) && number >= 0 &&
        path_exists(join_path(join_path(model.path, entry), "saved_model.pb"))) {
      versions.emplace_back(number, entry);
    }
  }
  if (versions.empty()) {
    return invalid_argument("'", path, "' holds neither saved_model.pb nor version folders of it");
  }
  std::sort(versions.begin(), versions.end());
  for (auto& [number, entry] : versions) model.versions.push_back(std::move(entry));
  return model;
}

StatusOr<LayerTree> model_layer(const ModelSource& model, int64_t mtime, const Tree* below) {
  LayerTree layer;
  layer.name = "model";
  layer.mtime = mtime;
  layer.tree = std::make_unique<Tree>(below);
  FileItem item;
  item.mode = 0644;
  for (const std::string& version : model.versions) {
    TENON_RETURN_IF_ERROR(with_context(
        add_host_files(version.empty() ? model.path : join_path(model.path, version),
                       place_of_version(model, version), item, *layer.tree, HostLinks::kFollow),
        "--model"));
  }
  return layer;
}

Status replay_goldens(const ModelSource& model, const Descriptor& layer, const BlobFolder& blobs,
                      const std::function<Status(const std::string& version_folder)>& verify) {
  const std::string folder = join_path(blobs.folder(), "replay");
  Status status = unpack_layer(layer, blobs, folder);
  for (const std::string& version : model.versions) {
    if (!status.ok()) break;
    status = verify(join_path(folder, place_of_version(model, version)));
    if (status.ok()) continue;
    // The folder is gone when the message is read: the model is what the user knows.
    std::string why(message_of(status));
    const std::string prefix = cat(folder, "/models/");
    for (size_t at = why.find(prefix); at != std::string::npos; at = why.find(prefix, at)) {
      why.erase(at, prefix.size());
    }
    status = Status(status.code(),
                    cat("the model is not baked in: ", why, " (--no_golden skips the replay)"));
  }
  const Status removed = remove_tree(folder);
  return status.ok() ? removed : status;
}

}  // namespace tenon::image
