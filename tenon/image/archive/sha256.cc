#include "tenon/image/archive/sha256.h"

#include <openssl/evp.h>

#include <algorithm>

#include "tenon/base/hex.h"
#include "tenon/base/log.h"

namespace tenon::image {

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  TENON_CHECK(context_ != nullptr);
  TENON_CHECK(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256::update(std::string_view bytes) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size());
}

std::string Sha256::digest() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

std::string Sha256::hex() { return hex_of(digest()); }

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

StatusOr<std::string> sha256_of_file(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
  Sha256 hash;
  FileSource source(*file);
  std::string window(256 << 10, '\0');
  while (true) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
    if (got == 0) return hash.hex();
    hash.update(std::string_view(window.data(), got));
  }
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

StatusOr<std::string> hex_of_digest(std::string_view digest) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!digest.starts_with(kPrefix) || !is_sha256_hex(digest.substr(kPrefix.size()))) {
    return invalid_argument("digest '", digest, "' is not sha256: and 64 lower-case hex digits");
  }
  return std::string(digest.substr(kPrefix.size()));
}

}  // namespace tenon::image
