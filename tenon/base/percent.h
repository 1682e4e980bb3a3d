// Percent-encoding (RFC 3986, section 2.1), which URLs, package-urls, gRPC's messages and file
// names use with different characters that stay as they are.
#pragma once

#include <string>
#include <string_view>

namespace tenon {

inline bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// `text` with "%" and two hexadecimal digits for each byte of which plain(c) does not hold.
template <class Plain>
std::string percent_encoded(std::string_view text, const Plain& plain) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (plain(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

}  // namespace tenon
