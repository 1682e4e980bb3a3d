// A SavedModel as a layer of an image.
#pragma once

#include "tenon/image/build/layers.h"
#include "tenon/image/oci/blobs.h"

namespace tenon::image {

struct ModelSource {
  std::string path;  // a SavedModel, or a folder of its versions
  std::string name;  // of the model in the image
  // Numbers of the folders with a saved_model.pb, oldest first; one empty text when `path` is a
  // SavedModel itself, which becomes version 1.
  std::vector<std::string> versions;

  std::string newest() const { return versions.back().empty() ? "1" : versions.back(); }
};

// `name` empty: the folder's. INVALID_ARGUMENT when there is no model or no usable name.
StatusOr<ModelSource> find_model(const std::string& path, const std::string& name);

// models/NAME/VERSION over `below`. Links are followed, so that nothing in the layer points out of
// it; a link to nothing, to a device or in circles is an error.
StatusOr<LayerTree> model_layer(const ModelSource& model, int64_t mtime, const Tree* below);

// Replays golden records of what is in the layer: its bytes are unpacked into a folder below that
// of `blobs`, which is gone afterwards. `verify` gets each version's folder.
Status replay_goldens(const ModelSource& model, const Descriptor& layer, const BlobFolder& blobs,
                      const std::function<Status(const std::string& version_folder)>& verify);

}  // namespace tenon::image
