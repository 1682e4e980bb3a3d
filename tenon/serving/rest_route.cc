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

// Is all of `text` one of the calls' words, whatever its case?
bool is_word(std::span<const RestCall> calls, std::string_view method, std::string_view text) {
  return std::any_of(calls.begin(), calls.end(), [&](const RestCall& call) {
    std::string_view rest = text;
    return call.method == method && take(rest, call.word) && rest.empty();
  });
}

// /([^/:]+)<version>?:(classify|regress|predict)
bool match_post(std::span<const RestCall> calls, std::string_view text, Parts& parts) {
  if (!take(text, "/") || !take_name(text, parts.name)) return false;
  take_version(text, parts);
  if (!take(text, ":")) return false;
  parts.tail = text;
  return is_word(calls, "POST", text);
}

// <version>?(?:/(metadata))?
bool match_get_rest(std::span<const RestCall> calls, std::string_view text, Parts& parts) {
  take_version(text, parts);
  if (text.empty()) return true;
  if (!take(text, "/") || text.empty()) return false;
  parts.tail = text;
  return is_word(calls, "GET", text);
}

// (?:/([^/:]+))?<rest>: with a name where that matches, else without.
bool match_get(std::span<const RestCall> calls, std::string_view text, Parts& parts) {
  std::string_view named = text;
  if (take(named, "/") && take_name(named, parts.name) && match_get_rest(calls, named, parts)) {
    return true;
  }
  parts = {};
  return match_get_rest(calls, text, parts);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = lower_case(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// TensorFlow Serving matches these words without case, and compares them with case afterwards: a
// GET of another case is one without a word.
const RestCall* find_call(std::span<const RestCall> calls, std::string_view method,
                          std::string_view word) {
  const RestCall* wordless = nullptr;
  for (const RestCall& call : calls) {
    if (call.method != method) continue;
    if (call.word == word) return &call;
    if (call.word.empty()) wordless = &call;
  }
  return wordless;
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

bool is_rest_target(std::string_view target) { return take(target, "/v1/"); }

StatusOr<RestRoute> parse_rest_route(std::span<const RestCall> calls, std::string_view method,
                                     std::string_view target) {
  RestRoute route;
  Parts parts;
  if (!take(target, "/v1/models")) return route;
  const bool matched = method == "POST" ? match_post(calls, target, parts)
                                        : method == "GET" && match_get(calls, target, parts);
  if (!matched) return route;
  route.call = find_call(calls, method, parts.tail);
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
