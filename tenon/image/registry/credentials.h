// The user's stored credentials for registries: podman's auth.json, docker's config.json, and the
// helper programs that they name.
#pragma once

#include <optional>

#include "tenon/image/registry/reference.h"

namespace tenon::image {

struct Credentials {
  std::string user, password;
  std::string identity_token;  // exchanged for tokens by OAuth's refresh_token grant
  std::string registry_token;  // sent as it is

  bool empty() const {
    return user.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
  std::string basic() const;  // base64 of "user:password"
};

// The files that are asked, in order: `file` alone when it is not empty; else $REGISTRY_AUTH_FILE
// alone; else $XDG_RUNTIME_DIR/containers/auth.json, $XDG_CONFIG_HOME/containers/auth.json (or
// ~/.config/...), and $DOCKER_CONFIG/config.json (or ~/.docker/...).
std::vector<std::string> credential_files(const std::string& file);

// What one file's text says: by credHelpers, then credsStore, then auths. Keys of auths may be
// hosts, hosts with a path (the longest that the repository lies under counts) or URLs. Nothing
// when the file does not speak of the registry; INVALID_ARGUMENT names `path` and what is
// malformed; FAILED_PRECONDITION when a helper program cannot be run or answers nonsense.
// `run_helpers`: false leaves helpers unasked.
StatusOr<std::optional<Credentials>> credentials_in(std::string_view text, std::string_view path,
                                                    const RegistryReference& reference,
                                                    bool run_helpers = true);

// The first file's that knows the registry; empty ones when none does.
StatusOr<Credentials> find_credentials(const RegistryReference& reference, const std::string& file);

}  // namespace tenon::image
