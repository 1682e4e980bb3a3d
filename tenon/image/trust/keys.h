// Private and public keys in PEM files, and signatures by them: ed25519, and ECDSA on P-256 with
// SHA-256, which is what cosign makes.
#pragma once

#include <string>
#include <string_view>

#include "tenon/base/status.h"

namespace tenon::image {

enum class KeyType { kEd25519, kEcdsaP256 };
// "ed25519" or "ecdsa-p256".
StatusOr<KeyType> parse_key_type(std::string_view text);

// A PKCS#8 private key (created with mode 0600; never overwritten) and its public key.
Status generate_key(const std::string& private_path, const std::string& public_path,
                    KeyType type = KeyType::kEd25519);

struct Signature {
  std::string bytes;          // 64 bytes for ed25519, ASN.1 for ECDSA
  std::string public_sha256;  // of the DER form of the key that made it, raw
};
// INVALID_ARGUMENT for a file that is no unencrypted key of the two kinds.
StatusOr<Signature> sign_message(std::string_view message, const std::string& private_key_path);

// Whether the signature holds for the public key.
StatusOr<bool> verify_message(std::string_view message, std::string_view signature,
                              const std::string& public_key_path);

}  // namespace tenon::image
