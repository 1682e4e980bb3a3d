// Where an image's blobs are while it is made, and how they become an output: an OCI layout folder,
// or one tar that is at once an OCI archive and a docker archive.
#pragma once

#include <functional>

#include "tenon/image/archive/compression.h"
#include "tenon/image/oci/model.h"
#include "tenon/image/partial.h"

namespace tenon::image {

// A folder of blobs named by their hex digest; removed with the object. Made beside the output, so
// that a finished layout can be renamed into place.
class BlobFolder {
 public:
  // `beside`: the output's path.
  static StatusOr<std::unique_ptr<BlobFolder>> create(const std::string& beside);
  BlobFolder(const BlobFolder&) = delete;
  BlobFolder& operator=(const BlobFolder&) = delete;

  StatusOr<Descriptor> add_text(std::string_view media_type, std::string_view text);
  // A blob that `write` streams.
  StatusOr<Descriptor> add(std::string_view media_type,
                           const std::function<Status(ByteSink&)>& write);

  std::string path_of(std::string_view hex) const { return cat(folder(), "/blobs/sha256/", hex); }
  const std::string& folder() const { return folder_->path(); }
  // The folder is called `path` from now on and belongs to the caller.
  Status finish(const std::string& path) { return folder_->rename_to(path); }

 private:
  explicit BlobFolder(std::unique_ptr<PartialFolder> folder) : folder_(std::move(folder)) {}
  std::unique_ptr<PartialFolder> folder_;
};

// A layer: `write` streams its tar. Sets `diff_id` to the digest of the uncompressed bytes.
StatusOr<Descriptor> add_layer(BlobFolder& blobs, Compression compression, int threads,
                               const std::function<Status(ByteSink&)>& write, std::string& diff_id);

// What an output holds beside its blobs.
struct OutputIndex {
  Index index;  // index.json
  // For docker archives, which know one image: its config, layers and names; empty config: none.
  std::string docker_config;               // hex
  std::vector<std::string> docker_layers;  // hex
  std::vector<std::string> docker_tags;
};

// `output` ends in ".tar": one file; otherwise a layout folder, replacing what stands there only if
// that is a layout or empty. Either appears whole or not at all. Spends `blobs`.
Status write_output(BlobFolder& blobs, const OutputIndex& content, const std::string& output);

}  // namespace tenon::image
