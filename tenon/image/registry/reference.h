// References to images in registries, as Docker spells them; oci/name.h has the grammar of their
// parts.
#pragma once

#include <string>
#include <string_view>

#include "tenon/base/status.h"

namespace tenon::image {

// "[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]". As for Docker, the first part is a host when it has a
// '.' or ':' or is "localhost"; without one the repository is Docker Hub's, in "library/" when it
// is a single word.
struct RegistryReference {
  std::string host;        // in lower case; "docker.io" for all of Docker Hub's names
  std::string repository;  // "library/debian"
  std::string tag;         // "latest" is not assumed: empty when none is given
  std::string digest;      // "sha256:...", or empty

  // Where the registry's interface is: Docker Hub's stands on another host than its name.
  std::string api_host() const;
};
StatusOr<RegistryReference> parse_reference(std::string_view text);

// "[REPOSITORY:]TAG" as tag ledgers keep it: the parts checked, "docker.io/" and "library/" left
// out, since they name the same repository without.
struct TagName {
  std::string repository;  // with its host, if any; may be empty
  std::string tag;
};
StatusOr<TagName> parse_tag_name(std::string_view text);
std::string to_string(const TagName& name);

}  // namespace tenon::image
