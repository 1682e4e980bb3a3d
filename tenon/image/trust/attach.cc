#include <algorithm>
#include <set>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/trust/sign.h"

namespace tenon::image {
namespace {

constexpr std::string_view kEmptyJson = "{}";

// Copies every blob that the index reaches.
class LayoutCopy {
 public:
  LayoutCopy(const ImageReader& reader, BlobFolder& blobs) : reader_(reader), blobs_(blobs) {}

  Status copy_index(const Index& index, int depth = 0) {
    if (depth > 4) return invalid_argument("image indexes nested too deep");
    for (const Descriptor& descriptor : index.manifests) {
      if (!reader_.has_blob(descriptor.digest)) continue;  // lives elsewhere
      TENON_RETURN_IF_ERROR(copy_blob(descriptor));
      if (is_index_type(descriptor.media_type)) {
        TENON_ASSIGN_OR_RETURN(const std::string text, reader_.read_blob(descriptor));
        TENON_ASSIGN_OR_RETURN(const Index nested, parse_index(text, descriptor.digest));
        TENON_RETURN_IF_ERROR(copy_index(nested, depth + 1));
      } else if (is_manifest_type(descriptor.media_type)) {
        TENON_ASSIGN_OR_RETURN(const std::string text, reader_.read_blob(descriptor));
        TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, descriptor.digest));
        TENON_RETURN_IF_ERROR(copy_blob(manifest.config));
        for (const Descriptor& layer : manifest.layers) TENON_RETURN_IF_ERROR(copy_blob(layer));
      }
    }
    return {};
  }

 private:
  Status copy_blob(const Descriptor& descriptor) {
    if (!seen_.insert(descriptor.digest).second) return {};
    TENON_ASSIGN_OR_RETURN(const auto source, reader_.open_blob(descriptor));
    TENON_ASSIGN_OR_RETURN(const Descriptor copy,
                           blobs_.add(descriptor.media_type, [&](ByteSink& sink) {
                             return copy_stream(*source, sink).status();
                           }));
    if (copy.digest == descriptor.digest) return {};
    return data_loss("'", reader_.path(), "': blob ", descriptor.digest, " has the digest ",
                     copy.digest);
  }

  const ImageReader& reader_;
  BlobFolder& blobs_;
  std::set<std::string> seen_;
};

StatusOr<Descriptor> add_attachment(const Image& image, const Attachment& attachment,
                                    BlobFolder& blobs) {
  Manifest manifest;
  manifest.artifact_type = attachment.artifact_type;
  TENON_ASSIGN_OR_RETURN(manifest.config, blobs.add_text(kEmptyType, kEmptyJson));
  const std::string& type =
      attachment.media_type.empty() ? attachment.artifact_type : attachment.media_type;
  TENON_ASSIGN_OR_RETURN(Descriptor content, blobs.add_text(type, attachment.content));
  content.annotations = attachment.layer_annotations;
  manifest.layers.push_back(std::move(content));
  Descriptor subject = image.descriptor;
  subject.annotations.clear();
  subject.platform.reset();
  manifest.subject = subject;
  manifest.annotations = attachment.annotations;
  manifest.annotations["org.opencontainers.image.created"] = image.config.created;
  TENON_ASSIGN_OR_RETURN(Descriptor result,
                         blobs.add_text(kManifestType, write_manifest(manifest)));
  result.artifact_type = attachment.artifact_type;
  return result;
}

// The docker archive's part, as it was.
Status keep_docker_part(const Image& image, const Index& index, OutputIndex& output) {
  output.docker_config = image.manifest.config.digest.substr(7);
  for (const Descriptor& layer : image.manifest.layers) {
    output.docker_layers.push_back(layer.digest.substr(7));
  }
  for (const Descriptor& descriptor : index.manifests) {
    const auto name = descriptor.annotations.find(std::string(kRefName));
    if (name != descriptor.annotations.end()) output.docker_tags.push_back(name->second);
  }
  return {};
}

}  // namespace

Status attach(const std::string& path, const Image& image,
              const std::vector<Attachment>& attachments) {
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(path));
  TENON_ASSIGN_OR_RETURN(const auto blobs, BlobFolder::create(path));
  TENON_RETURN_IF_ERROR(LayoutCopy(*reader, *blobs).copy_index(reader->index()));
  OutputIndex output;
  output.index = reader->index();
  for (const Attachment& attachment : attachments) {
    TENON_ASSIGN_OR_RETURN(const Descriptor added, add_attachment(image, attachment, *blobs));
    const bool known =
        std::any_of(output.index.manifests.begin(), output.index.manifests.end(),
                    [&](const Descriptor& other) { return other.digest == added.digest; });
    if (!known) output.index.manifests.push_back(added);
  }
  TENON_ASSIGN_OR_RETURN(const Image first, find_image(*reader, nullptr));
  TENON_RETURN_IF_ERROR(keep_docker_part(first, output.index, output));
  return write_output(*blobs, output, path);
}

StatusOr<std::vector<Attachment>> attachments_of(const ImageReader& reader, const Image& image) {
  std::vector<Attachment> result;
  std::set<std::string> seen;
  for (const Descriptor& descriptor : reader.index().manifests) {
    if (!seen.insert(descriptor.digest).second) continue;
    if (!is_manifest_type(descriptor.media_type) || !reader.has_blob(descriptor.digest)) continue;
    TENON_ASSIGN_OR_RETURN(const std::string text, reader.read_blob(descriptor));
    TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, descriptor.digest));
    if (!manifest.subject.has_value() || manifest.subject->digest != image.descriptor.digest ||
        manifest.layers.empty()) {
      continue;
    }
    // An artifact may hold several contents: cosign adds a layer a signature.
    for (const Descriptor& layer : manifest.layers) {
      TENON_ASSIGN_OR_RETURN(std::string content, reader.read_blob(layer));
      result.push_back({manifest.artifact_type, std::move(content), layer.media_type,
                        manifest.annotations, layer.annotations});
    }
  }
  return result;
}

}  // namespace tenon::image
