#include "tenon/serving/rest_route.h"

namespace tenon::serving {
namespace {

char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Takes `word` (in lower case) off the front of `text`, whatever the case there.
bool take(std::string_view& text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (lower_case(text[i]) != word[i]) return false;
  }
  text.remove_prefix(word.size());
  return true;
}

// [^/:]+
bool take_name(std::string_view& text, std::string_view& name) {
  name = text.substr(0, text.find_first_of("/:"));
  text.remove_prefix(name.size());
  return !name.empty();
}

// \d+
bool take_digits(std::string_view& text, std::string_view& digits) {
  digits = text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
  text.remove_prefix(digits.size());
  return !digits.empty();
}

struct Parts {
  std::string_view name, version, label, tail;
};

// (?:/versions/(\d+)|/labels/([^/:]+))?
bool take_version(std::string_view& text, Parts& parts) {
  std::string_view rest = text;
  if (take(rest, "/versions/") && take_digits(rest, parts.version)) {
    text = rest;
  } else if (rest = text; take(rest, "/labels/") && take_name(rest, parts.label)) {
    text = rest;
  }
  return true;
}

// /([^/:]+)<version>?:(classify|regress|predict)
bool match_post(std::string_view text, Parts& parts) {
  if (!take(text, "/") || !take_name(text, parts.name)) return false;
  take_version(text, parts);
  if (!take(text, ":")) return false;
  parts.tail = text;
  for (const std::string_view method : {"classify", "regress", "predict"}) {
    if (std::string_view rest = text; take(rest, method) && rest.empty()) return true;
  }
  return false;
}

// <version>?(?:/(metadata))?
bool match_get_rest(std::string_view text, Parts& parts) {
  take_version(text, parts);
  if (text.empty()) return true;
  parts.tail = text.substr(1);
  return take(text, "/metadata") && text.empty();
}

// (?:/([^/:]+))?<rest>: with a name where that matches, else without.
bool match_get(std::string_view text, Parts& parts) {
  std::string_view named = text;
  if (take(named, "/") && take_name(named, parts.name) && match_get_rest(named, parts)) return true;
  parts = {};
  return match_get_rest(text, parts);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = lower_case(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// TensorFlow Serving matches these words without case, and compares them with case afterwards.
RestRoute::Kind kind_of(std::string_view method, std::string_view tail) {
  if (method == "GET") {
    return tail == "metadata" ? RestRoute::Kind::kMetadata : RestRoute::Kind::kStatus;
  }
  if (tail == "predict") return RestRoute::Kind::kPredict;
  if (tail == "classify") return RestRoute::Kind::kClassify;
  if (tail == "regress") return RestRoute::Kind::kRegress;
  return RestRoute::Kind::kMalformed;
}

}  // namespace

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view RestRoute::api() const {
  switch (kind) {
    case Kind::kPredict:
      return "predict";
    case Kind::kClassify:
      return "classify";
    case Kind::kRegress:
      return "regress";
    default:
      return "";
  }
}

bool is_rest_target(std::string_view target) { return take(target, "/v1/"); }

StatusOr<RestRoute> parse_rest_route(std::string_view method, std::string_view target) {
  RestRoute route;
  Parts parts;
  if (!take(target, "/v1/models")) return route;
  const bool matched =
      method == "POST" ? match_post(target, parts) : method == "GET" && match_get(target, parts);
  if (!matched) return route;
  route.kind = kind_of(method, parts.tail);
  route.model.name = percent_decoded(parts.name);
  route.model.label = percent_decoded(parts.label);
  if (!parts.version.empty()) {
    int64_t version = 0;
    if (!parse_number(parts.version, version)) {
      return invalid_argument("Failed to convert version: ", parts.version, " to numeric.");
    }
    route.model.version = version;
  }
  return route;
}

int http_status_of(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace tenon::serving
