#include "tenon/image/registry/reference.h"

#include <algorithm>

#include "tenon/base/strings.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/oci/name.h"

namespace tenon::image {
namespace {

constexpr std::string_view kHub = "docker.io";

bool is_name_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool looks_like_host(std::string_view part) {
  return part == "localhost" || part.find_first_of(".:") != std::string_view::npos;
}

// Between the dots of a host's name: the distribution library's domain-component.
bool is_host_label(std::string_view label) {
  return !label.empty() && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return is_name_letter(c) || c == '-'; });
}

bool is_registry_host(std::string_view host) {
  std::string_view name = host;
  const bool bracketed = host.starts_with('[');
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    int64_t port = 0;
    if (!parse_number(host.substr(colon + 1), port) || port < 1 || port > 65535) return false;
    name = host.substr(0, colon);
  }
  if (bracketed) {
    return name.size() > 2 && name.ends_with(']') &&
           name.find_first_not_of("0123456789abcdef:", 1) == name.size() - 1;
  }
  const auto labels = split(name, '.');
  return std::all_of(labels.begin(), labels.end(), is_host_label);
}

}  // namespace

std::string RegistryReference::api_host() const {
  return host == kHub ? "registry-1.docker.io" : host;
}

StatusOr<RegistryReference> parse_reference(std::string_view text) {
  RegistryReference reference;
  const auto bad = [&](std::string_view why) {
    return invalid_argument("'", text, "' is not [HOST/]REPOSITORY[:TAG][@DIGEST]: ", why);
  };
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    if (!hex_of_digest(reference.digest).ok()) return bad("the digest is malformed");
    rest = rest.substr(0, at);
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos && looks_like_host(rest.substr(0, slash))) {
    reference.host = to_lower(rest.substr(0, slash));
    rest.remove_prefix(slash + 1);
    if (!is_registry_host(reference.host)) return bad("the host is malformed");
  } else {
    reference.host = kHub;
  }
  if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_tag(reference.tag)) return bad("the tag is malformed");
  }
  reference.repository = rest;
  if (!is_repository_name(rest)) return bad("the repository is malformed");
  if (reference.host == "index.docker.io" || reference.host == "registry-1.docker.io") {
    reference.host = kHub;
  }
  if (reference.host == kHub && rest.find('/') == std::string_view::npos) {
    reference.repository = cat("library/", rest);
  }
  return reference;
}

StatusOr<TagName> parse_tag_name(std::string_view text) {
  TagName name;
  const auto bad = [&](std::string_view why) {
    return invalid_argument("'", text, "' is not REPOSITORY:TAG: ", why);
  };
  const size_t colon = text.rfind(':');
  name.tag = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (!is_tag(name.tag)) return bad("the tag is malformed");
  if (colon == std::string_view::npos) return name;
  TENON_ASSIGN_OR_RETURN(const RegistryReference reference, parse_reference(text));
  if (!reference.digest.empty()) return bad("a digest is no tag");
  const bool hub = reference.host == kHub;
  const bool official = hub && reference.repository.starts_with("library/");
  name.repository = official ? reference.repository.substr(8)
                    : hub    ? reference.repository
                             : cat(reference.host, "/", reference.repository);
  return name;
}

std::string to_string(const TagName& name) {
  return name.repository.empty() ? name.tag : cat(name.repository, ":", name.tag);
}

}  // namespace tenon::image
