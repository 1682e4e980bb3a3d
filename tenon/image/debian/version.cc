#include "tenon/image/debian/version.h"

#include <algorithm>

namespace tenon::image {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

struct Parts {
  std::string_view epoch, upstream, revision;
  bool has_epoch = false, has_revision = false;
};

Parts split_version(std::string_view version) {
  Parts parts;
  if (const size_t colon = version.find(':'); colon != std::string_view::npos) {
    parts.epoch = version.substr(0, colon);
    parts.has_epoch = true;
    version.remove_prefix(colon + 1);
  }
  if (const size_t dash = version.rfind('-'); dash != std::string_view::npos) {
    parts.revision = version.substr(dash + 1);
    parts.has_revision = true;
    version = version.substr(0, dash);
  }
  parts.upstream = version;
  return parts;
}

// '~' before the end of the text, letters before everything else.
int order_of(std::string_view text, size_t at) {
  if (at >= text.size() || is_digit(text[at])) return 0;
  const char c = text[at];
  if (c == '~') return -1;
  return is_letter(c) ? c : static_cast<unsigned char>(c) + 256;
}

int compare_digits(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  const int order = a.compare(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

std::string_view take_digits(std::string_view text, size_t& at) {
  const size_t begin = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  return text.substr(begin, at - begin);
}

int compare_part(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    while ((i < a.size() && !is_digit(a[i])) || (j < b.size() && !is_digit(b[j]))) {
      const int left = order_of(a, i), right = order_of(b, j);
      if (left != right) return left < right ? -1 : 1;
      ++i;
      ++j;
    }
    const std::string_view left = take_digits(a, i), right = take_digits(b, j);
    if (const int order = compare_digits(left, right); order != 0) return order;
  }
  return 0;
}

}  // namespace

Status check_debian_version(std::string_view version) {
  const auto bad = [&](std::string_view why) {
    return invalid_argument("Debian version '", version, "' ", why);
  };
  const Parts parts = split_version(version);
  if (parts.has_epoch && (parts.epoch.empty() || parts.epoch.size() > 9 ||
                          !std::all_of(parts.epoch.begin(), parts.epoch.end(), is_digit))) {
    return bad("has an epoch that is not a number");
  }
  if (parts.upstream.empty()) return bad("is empty");
  if (!is_digit(parts.upstream[0])) return bad("does not start with a digit");
  if (parts.has_revision && parts.revision.empty()) return bad("has an empty revision");
  const auto allowed = [&](std::string_view text, std::string_view more) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
      return is_digit(c) || is_letter(c) || more.find(c) != std::string_view::npos;
    });
  };
  if (!allowed(parts.upstream, ".+-:~") || !allowed(parts.revision, ".+~")) {
    return bad("has a character that versions do not have");
  }
  return {};
}

int compare_debian_versions(std::string_view a, std::string_view b) {
  const Parts left = split_version(a), right = split_version(b);
  if (const int order = compare_digits(left.epoch, right.epoch); order != 0) return order;
  if (const int order = compare_part(left.upstream, right.upstream); order != 0) return order;
  return compare_part(left.revision, right.revision);
}

bool debian_version_matches(std::string_view version, std::string_view op, std::string_view bound) {
  const int order = compare_debian_versions(version, bound);
  if (op == "<<") return order < 0;
  if (op == "<=" || op == "<") return order <= 0;
  if (op == "=") return order == 0;
  if (op == ">=" || op == ">") return order >= 0;
  return op == ">>" && order > 0;
}

}  // namespace tenon::image
