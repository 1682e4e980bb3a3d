// Docker's image archive (moby's image/spec "Combined Image JSON + Filesystem Changeset Format"):
// manifest.json lists images, each a configuration and layers by member name.
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {
namespace {

using DockerJson = nlohmann::json;

constexpr int kMostMemberLinks = 8;

// "../abc/layer.tar" in the folder of `from`; empty when it leads out of the archive.
std::string linked_member(const std::string& from, const std::string& link) {
  std::vector<std::string> parts;
  for (std::string_view part : split(from, '/')) parts.emplace_back(part);
  parts.pop_back();
  for (std::string_view part : split(link, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (parts.empty()) {
      return {};
    } else {
      parts.pop_back();
    }
  }
  return join(parts, "/");
}

std::string layer_type(std::string_view head) {
  if (head.starts_with("\x1f\x8b")) return cat(kLayerType, "+gzip");
  if (head.starts_with("\x28\xb5\x2f\xfd")) return cat(kLayerType, "+zstd");
  return std::string(kLayerType);
}

}  // namespace

// The digest of a member, under which it can be opened from now on.
StatusOr<std::string> ImageReader::digest_of_member(const std::string& name,
                                                    std::string& media_type) {
  std::string place = name;
  for (int i = 0; i < kMostMemberLinks && links_.contains(place); ++i) {
    place = linked_member(place, links_.at(place));
  }
  const auto member = members_.find(place);
  if (member == members_.end()) {
    return not_found("'", path_, "': manifest.json names ", name, ", which is not there");
  }
  FileSource source(*tar_, member->second.offset, member->second.size);
  Sha256 hash;
  std::string window(256 << 10, '\0');
  media_type.clear();
  while (true) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
    if (got == 0) break;
    const std::string_view bytes(window.data(), got);
    if (media_type.empty()) media_type = layer_type(bytes);
    hash.update(bytes);
  }
  if (media_type.empty()) media_type = kLayerType;
  const std::string hex = hash.hex();
  members_[cat("blobs/sha256/", hex)] = member->second;
  return cat("sha256:", hex);
}

Status ImageReader::read_docker_archive() {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_named("manifest.json"));
  const DockerJson list = DockerJson::parse(text, nullptr, false);
  if (!list.is_array() || list.empty()) {
    return invalid_argument("'", path_, "': manifest.json is no list of images");
  }
  const auto describe = [&](const std::string& name, bool is_config) -> StatusOr<Descriptor> {
    Descriptor descriptor;
    TENON_ASSIGN_OR_RETURN(descriptor.digest, digest_of_member(name, descriptor.media_type));
    if (is_config) descriptor.media_type = kConfigType;
    descriptor.size = members_.at(cat("blobs/sha256/", descriptor.digest.substr(7))).size;
    return descriptor;
  };
  for (const DockerJson& entry : list) {
    Manifest manifest;
    TENON_ASSIGN_OR_RETURN(manifest.config, describe(json_text(entry, "Config"), true));
    for (const DockerJson& layer : json_child(entry, "Layers")) {
      if (!layer.is_string()) return invalid_argument("'", path_, "': a layer that is no name");
      TENON_ASSIGN_OR_RETURN(manifest.layers.emplace_back(),
                             describe(layer.get<std::string>(), false));
    }
    const std::string made = write_manifest(manifest);
    Descriptor descriptor;
    descriptor.media_type = kManifestType;
    descriptor.digest = cat("sha256:", sha256_hex(made));
    descriptor.size = made.size();
    documents_[descriptor.digest] = made;
    const DockerJson& names = json_child(entry, "RepoTags");
    if (names.is_array() && !names.empty() && names[0].is_string()) {
      descriptor.annotations[std::string(kRefName)] = names[0].get<std::string>();
    }
    index_.manifests.push_back(std::move(descriptor));
  }
  return {};
}

}  // namespace tenon::image
