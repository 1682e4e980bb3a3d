// Pushing to and pulling from registries: OCI distribution-spec 1.1.
//
// Blobs go up in chunks and are resumed after a broken connection; what the registry has is not
// sent again; blobs of another repository of the same registry are mounted. Registries on a
// loopback address are spoken to in plain HTTP, all others over TLS with the system's certificates.
//
// A registry is not trusted: what it names (redirects, places to upload to, token servers) is taken
// under the rules of check_named_url(), credentials go to its own host only, and over TLS to the
// token servers that the user allows for it.
#pragma once

#include <functional>

#include "tenon/image/oci/blobs.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/registry/reference.h"

namespace tenon::image {

// Bytes of blobs that have moved, of those known to have to.
struct TransferProgress {
  uint64_t done = 0, due = 0;
};

struct RegistryOptions {
  std::string docker_config;  // auth.json or config.json; empty: the usual places (credentials.h)
  std::string mount_from;     // another repository of the registry that may have the blobs
  uint64_t chunk_bytes = 8 << 20;
  bool force_tls = false;  // on loopback too
  // Hosts of token servers that may see the registry's credentials, beside the registry's own host.
  std::vector<std::string> token_servers;
  int timeout = 60;  // seconds in which at least 1 KB has to move, see HttpRequest
  std::function<void(const TransferProgress&)> progress;
};

struct TransferReport {
  std::string digest;  // of the top manifest or index
  int blobs_sent = 0, blobs_present = 0, blobs_mounted = 0, resumed = 0;
  uint64_t bytes = 0;
};

// Pushes the image (or index) of `reader` under the reference's tag, and what is attached to it. A
// registry without the referrers API gets the fallback tag "sha256-HEX". The tag is written last,
// so that it never points at something incomplete.
StatusOr<TransferReport> push_image(const ImageReader& reader, const RegistryReference& target,
                                    const RegistryOptions& options);

// Pulls what the reference names, every digest checked, with what is attached to it, into `output`
// (as write_output). Nothing is left of a pull that fails.
StatusOr<TransferReport> pull_image(const RegistryReference& source, const std::string& output,
                                    const RegistryOptions& options);

}  // namespace tenon::image
