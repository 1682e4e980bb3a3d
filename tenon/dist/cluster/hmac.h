// HMAC-SHA256 (RFC 2104, FIPS 180-4): how workers prove to each other that they know the cluster's
// secret. The engine links no library of cryptography, so that it lives beside any in one process.
#pragma once

#include <string>
#include <string_view>

namespace tenon::dist {

// 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view bytes);

// Takes equally long wherever the two differ.
bool equal_proofs(std::string_view a, std::string_view b);

}  // namespace tenon::dist
