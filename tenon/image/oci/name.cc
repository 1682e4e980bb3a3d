#include "tenon/image/oci/name.h"

#include <algorithm>

namespace tenon::image {
namespace {

constexpr size_t kLongestTag = 128;
constexpr size_t kLongestRepository = 255;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_letter_or_digit(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_component(std::string_view text) {
  if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) {
    return false;
  }
  for (size_t i = 0; i < text.size();) {
    if (is_lower_or_digit(text[i])) {
      ++i;
      continue;
    }
    const char separator = text[i];
    const size_t end = std::min(text.find_first_not_of(separator, i), text.size());
    const size_t most = separator == '-' ? text.size() : separator == '_' ? 2 : 1;
    if ((separator != '.' && separator != '_' && separator != '-') || end - i > most ||
        !is_lower_or_digit(text[end])) {
      return false;
    }
    i = end;
  }
  return true;
}

// "localhost", "ghcr.io", "host:5000": what stands in front of the first '/' is a host when it has
// a dot or a port, or is localhost.
bool is_host(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    int64_t port = 0;
    if (!parse_number(text.substr(colon + 1), port) || port < 1 || port > 65535) return false;
  } else if (name != "localhost" && name.find('.') == std::string_view::npos) {
    return false;
  }
  return !name.empty() && is_letter_or_digit(name.front()) && is_letter_or_digit(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-'; });
}

}  // namespace

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kLongestTag && tag[0] != '.' && tag[0] != '-' &&
         std::all_of(tag.begin(), tag.end(), [](char c) {
           return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
         });
}

bool is_repository_name(std::string_view name) {
  const auto parts = split(name, '/');
  return name.size() <= kLongestRepository && std::all_of(parts.begin(), parts.end(), is_component);
}

Status check_tag(std::string_view tag) {
  if (is_tag(tag)) return {};
  return invalid_argument("'", tag, "' is no tag: letters, digits, '_', '.' and '-', 128 at most, ",
                          "the first neither '.' nor '-'");
}

Status check_repository(std::string_view repository) {
  const size_t slash = repository.find('/');
  const bool has_host = slash != std::string_view::npos && is_host(repository.substr(0, slash));
  if (repository.size() <= kLongestRepository &&
      is_repository_name(has_host ? repository.substr(slash + 1) : repository)) {
    return {};
  }
  return invalid_argument("'", repository, "' is no name of an image: lower-case letters and ",
                          "digits, with '.', '_' or '-' between them, components apart by '/'");
}

Status check_image_name(std::string_view name) {
  const size_t colon = name.rfind(':');
  if (colon == std::string_view::npos || name.find('/', colon) != std::string_view::npos) {
    return invalid_argument("'", name, "' has no tag: NAME:TAG");
  }
  TENON_RETURN_IF_ERROR(check_repository(name.substr(0, colon)));
  return check_tag(name.substr(colon + 1));
}

std::string repository_component(std::string_view text) {
  std::string out;
  for (const char c : to_lower(text)) {
    if (is_lower_or_digit(c)) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "model" : out;
}

std::string expand_tag(std::string_view tag, std::string_view version) {
  std::string out(tag);
  const auto substitute = [&](std::string_view key, std::string_view value) {
    for (size_t at = out.find(key); at != std::string::npos;
         at = out.find(key, at + value.size())) {
      out.replace(at, key.size(), value);
    }
  };
  const size_t first = version.find('.');
  const size_t second = first == std::string_view::npos ? first : version.find('.', first + 1);
  substitute("{version}", version);
  substitute("{version.minor}", version.substr(0, second));
  return out;
}

}  // namespace tenon::image
