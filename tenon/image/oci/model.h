// OCI's documents (image-spec 1.1): descriptors, manifests, indexes and configurations, and the
// JSON that stands for them. Writing is deterministic: fields in a fixed order, maps sorted.
#pragma once

#include <map>
#include <optional>

#include "tenon/image/declaration.h"

namespace tenon::image {

inline constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayerType = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kEmptyType = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";

struct Descriptor {
  std::string media_type, digest, artifact_type;
  uint64_t size = 0;
  std::map<std::string, std::string> annotations;
  std::optional<Platform> platform;
};

struct Manifest {
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;
  std::map<std::string, std::string> annotations;
};

struct Index {
  std::vector<Descriptor> manifests;
  std::map<std::string, std::string> annotations;
};

struct HistoryEntry {
  std::string created_by, comment;
};

struct ImageConfig {
  std::string created;  // RFC 3339
  Platform platform;
  std::string user, working_directory, stop_signal;
  std::vector<std::string> entrypoint, command, ports, volumes;
  std::map<std::string, std::string> environment, labels;
  std::optional<HealthCheck> health;
  std::vector<std::string> diff_ids;
  std::vector<HistoryEntry> history;
};

std::string write_manifest(const Manifest& manifest);
std::string write_index(const Index& index);
std::string write_config(const ImageConfig& config);

// Documents of others: unknown fields are ignored, Docker's schema 2 media types are accepted.
// INVALID_ARGUMENT names `what` and the field. Digests are well formed in what comes back.
StatusOr<Manifest> parse_manifest(std::string_view json, std::string_view what);
StatusOr<Index> parse_index(std::string_view json, std::string_view what);
StatusOr<ImageConfig> parse_config(std::string_view json, std::string_view what);

bool is_index_type(std::string_view media_type);
bool is_manifest_type(std::string_view media_type);

// Seconds since 1970 as "2026-11-24T23:23:51Z".
std::string rfc3339(int64_t seconds);

}  // namespace tenon::image
