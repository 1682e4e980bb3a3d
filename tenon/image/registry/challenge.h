// What a registry and its token server say about authentication. Untrusted text.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

// One challenge of a WWW-Authenticate field (RFC 9110, section 11.6.1).
struct Challenge {
  std::string scheme;                             // in lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // by lower-case name, quotes taken off
};

// Every challenge, in order; a field holds several, separated by commas like their parameters. What
// is not well formed ends the reading.
std::vector<Challenge> parse_challenges(std::string_view field);

// The token in a token server's answer ("token", or OAuth's "access_token"). PERMISSION_DENIED when
// there is none, or none that fits into a header.
StatusOr<std::string> parse_token_answer(std::string_view json, std::string_view what);

// Text in a query or form.
std::string url_encoded(std::string_view text);

}  // namespace tenon::image
