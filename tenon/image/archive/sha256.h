// SHA-256 as the content address of everything here: lower-case hex of 64 characters; an OCI digest
// is "sha256:" and that hex.
#pragma once

#include "tenon/image/net.h"

namespace tenon::image {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::string_view bytes);
  // The 32 bytes, or as hex. Call one of them once; the object is spent.
  std::string digest();
  std::string hex();

 private:
  void* context_;  // EVP_MD_CTX
};

std::string sha256_hex(std::string_view bytes);
StatusOr<std::string> sha256_of_file(const std::string& path);

// 64 lower-case hex digits.
bool is_sha256_hex(std::string_view text);

// "sha256:<hex>" to <hex>; INVALID_ARGUMENT for another algorithm or spelling.
StatusOr<std::string> hex_of_digest(std::string_view digest);

// Passes bytes on while hashing and counting them.
class HashingSink final : public ByteSink {
 public:
  explicit HashingSink(ByteSink& next) : next_(next) {}
  Status write(std::string_view bytes) override {
    hash_.update(bytes);
    size_ += bytes.size();
    return next_.write(bytes);
  }
  uint64_t size() const { return size_; }
  std::string hex() { return hash_.hex(); }

 private:
  ByteSink& next_;
  Sha256 hash_;
  uint64_t size_ = 0;
};

}  // namespace tenon::image
