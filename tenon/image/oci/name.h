// Names of images, as registries and container engines take them.
#pragma once

#include <string>

#include "tenon/base/status.h"

namespace tenon::image {

// [A-Za-z0-9_][A-Za-z0-9_.-]{0,127} (distribution-spec 1.1).
bool is_tag(std::string_view tag);

// Components [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* between slashes, no host among them; at most 255
// characters (distribution-spec 1.1).
bool is_repository_name(std::string_view name);

// INVALID_ARGUMENT for what is no tag.
Status check_tag(std::string_view tag);

// INVALID_ARGUMENT for what is no repository, with or without a registry's host in front: "tenon",
// "ghcr.io:443/team/model"; at most 255 characters in all.
Status check_repository(std::string_view repository);

// "repository:tag".
Status check_image_name(std::string_view name);

// `text` as one component of a repository: lower case, what is not admitted becomes '-'.
std::string repository_component(std::string_view text);

// A tag's text with "{version}" and "{version.minor}" replaced.
std::string expand_tag(std::string_view tag, std::string_view version);

}  // namespace tenon::image
